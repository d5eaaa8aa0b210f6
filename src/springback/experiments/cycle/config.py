"""What `springback cycle` is asked: every option with its unit and default. Torch-free, so `--help` is quick."""

from dataclasses import dataclass
from typing import Literal

from springback.errors import refused
from springback.experiments.audit.config import EMBEDDED, Audit
from springback.experiments.audit.config import _increasing as increasing  # pyright: ignore[reportPrivateUsage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One life cycle. Field docstrings are the help of the command line."""

    model: str = EMBEDDED
    """The model that the cycle begins from: a directory, a hub id (`org/name@revision`) or an alias."""
    align: str | None = None
    """File of wanted examples, or of preference pairs (chosen aligns, rejected reverses)."""
    reverse: str | None = None
    """File of opposite examples; matched to the wanted ones by prompt."""
    text: str | None = None
    """File of plain text (a document between blank lines) or of rows (their answers); default: the neutral rows."""
    text_sizes: tuple[int, ...] = (32, 128)
    """Stage 1, documents of text, all of their tokens under the loss; nested, multiples of the batch."""
    align_sizes: tuple[int, ...] = (16, 32, 64, 128)
    """Stage 2, wanted examples; nested, multiples of the batch."""
    reverse_sizes: tuple[int, ...] = (8, 16, 32, 64)
    """Stage 3, opposite examples; nested, multiples of the batch."""
    realign_sizes: tuple[int, ...] = (8, 16, 32, 64)
    """Stage 4, wanted examples; nested, multiples of the batch."""
    rehearse: Literal["same", "new"] = "same"
    """Stage 4 trains on the rows of stage 2 again, in the same order, or on new ones."""
    arms: Literal["core", "all"] = "all"
    """Core: the chain and a benign stage 3. All: also a model that was never aligned before stage 4."""
    samples: int = 48
    """Sampled answers at each point."""
    pairs: int = 72
    """Held-out matched pairs for the margin."""
    neutral: int = 32
    """Held-out documents of text for γ; none of them is tuned on."""
    max_new_tokens: int = 20
    """Length of a sampled answer, in tokens."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the order of rows; from three on, intervals are over seeds."""
    tuner: Literal["full", "lora"] = "full"
    """Full tuning, or LoRA (extra `peft`)."""
    rank: int = 8
    """Rank of LoRA; without effect on full tuning, and refused there when changed."""
    batch: int = 8
    """Examples an optimiser step."""
    learning_rate: float = 1e-4
    """AdamW, constant; every stage begins with a fresh optimiser state."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Compute type; auto is bfloat16."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""
    score: str = "classifier"
    """Scorer: `classifier`, `lexicon`, a Python FILE with score(texts), or `module:function`."""
    trust_remote_code: bool = False
    """Run Python code that comes with MODEL. Off unless asked for."""
    tiny: bool = False
    """A random model of 1 MB, no downloads: shows the pipeline, the figures mean nothing."""

    def __post_init__(self) -> None:
        self.audit()
        increasing("text-sizes", self.text_sizes, self.batch)
        increasing("realign-sizes", self.realign_sizes, self.batch)
        for name in ("pairs", "neutral"):
            if getattr(self, name) < 2:
                raise refused(name, f"must be at least 2, got {getattr(self, name)}", f"raise --{name}")
        if self.rehearse == "same" and self.realign_sizes[-1] > self.align_sizes[-1]:
            raise refused(
                "realign-sizes", f"goes beyond the {self.align_sizes[-1]} rows that stage 2 trains on",
                "lower it, or take --rehearse new",
            )  # fmt: skip

    def audit(self) -> Audit:
        """The part of it that loading, tuning, scoring and keeping weights look at."""
        return Audit(
            model=self.model, align=self.align, reverse=self.reverse, align_sizes=self.align_sizes,
            reverse_sizes=self.reverse_sizes, samples=self.samples, pairs=self.pairs, neutral=self.neutral,
            max_new_tokens=self.max_new_tokens, seeds=self.seeds, tuner=self.tuner, rank=self.rank, batch=self.batch,
            learning_rate=self.learning_rate, dtype=self.dtype, device=self.device, score=self.score, layers="none",
            forced_tokens=(0,), trust_remote_code=self.trust_remote_code, tiny=self.tiny,
        )  # fmt: skip


PRESETS: dict[str, dict[str, object]] = {
    "quick": {"text_sizes": (32,), "align_sizes": (16, 32, 64), "reverse_sizes": (8, 16, 32),
              "realign_sizes": (8, 16, 32), "samples": 16, "pairs": 48, "neutral": 24, "arms": "core"},
    "tiny": {"text_sizes": (8, 16), "align_sizes": (8, 16), "reverse_sizes": (4, 8), "realign_sizes": (4, 8),
             "batch": 4, "samples": 8, "pairs": 12, "neutral": 12, "max_new_tokens": 12, "learning_rate": 1e-3,
             "dtype": "float32", "device": "cpu"},
}  # fmt: skip

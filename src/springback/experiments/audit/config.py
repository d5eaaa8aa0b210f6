"""What an audit is asked: every option with its unit and default. Torch-free, so `--help` is quick."""

from dataclasses import dataclass
from typing import Literal

from springback.errors import refused

EMBEDDED = "smollm2-135m-instruct"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One audit. Field docstrings are the help of the command line."""

    model: str = EMBEDDED
    """The model under audit: a directory, a hub id (`org/name@revision`) or an alias."""
    base: str | None = None
    """The model that MODEL was aligned from; MODEL is then read as it is and not aligned again."""
    align: str | None = None
    """File of wanted examples, or of preference pairs (chosen aligns, rejected reverses)."""
    reverse: str | None = None
    """File of opposite examples; matched to the wanted ones by prompt."""
    align_sizes: tuple[int, ...] = (32, 128)
    """Sizes of the alignment, in examples; nested, multiples of the batch."""
    reverse_sizes: tuple[int, ...] = (8, 32, 64)
    """Sizes of the reversal, in examples; nested, multiples of the batch."""
    align_mix: int = 0
    """Percent of opposite examples among the wanted ones: what mixed labels leave of an alignment."""
    reverse_mix: int = 0
    """Percent of wanted examples among the opposite ones; at 50 the reversal is benign."""
    reversal_data: str | None = None
    """File of other examples that the reversal trains on; what is measured stays."""
    align_with: str = "plain"
    """How the start is aligned, and its placebo tuned: `plain` (supervised), or any way that --reverse-with knows."""
    reverse_with: str = "plain"
    """How it is reversed: plain, kl_anchor[:weight=1.0], replay[:share=1.0], constrained, a preference loss by name
    with its options (dpo:beta=0.1, kto, rrhf, npo; see `springback losses`), a policy method (ppo, rloo, grpo, dapo …:
    grpo:group=4,reward=FILE.py; without a reward the audit's own scorer rewards), a FILE or module:function."""
    samples: int = 48
    """Sampled answers at each point."""
    pairs: int = 72
    """Held-out matched pairs for the margin."""
    neutral: int = 24
    """Neutral texts for γ (fewer where the data has fewer)."""
    max_new_tokens: int = 20
    """Length of a sampled answer, in tokens."""
    temperature: float = 1.0
    """Sampling temperature; KL is always at 1."""
    seeds: tuple[int, ...] = (0,)
    """Seeds; from three on, intervals are over seeds."""
    tuner: Literal["full", "lora"] = "full"
    """Full tuning, or LoRA (extra `peft`)."""
    rank: int = 8
    """Rank of LoRA; without effect on full tuning, and refused there when changed."""
    batch: int = 8
    """Examples an optimiser step."""
    learning_rate: float = 1e-4
    """AdamW, constant after the warm-up."""
    warmup_steps: int = 0
    """Steps of linear warm-up, by step index: exact under nesting."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Compute type; auto is bfloat16 for an audit that trains, float32 for one that only reads."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""
    score: str = "classifier"
    """Scorer: `classifier`, `lexicon`, a Python FILE with score(texts), or `module:function`."""
    arms: Literal["core", "needed", "all"] = "needed"
    """Placebo arms: benign chain only (core), with the guards at the sizes that a verdict may rest on, or at all."""
    layers: Literal["even", "all", "none"] = "even"
    """Layers of the swap curve: six evenly spaced, all of them, or none."""
    forced_tokens: tuple[int, ...] = (0, 1, 2, 4, 8)
    """Tokens of the opposite answer forced before the model goes on (prefill curve)."""
    keep_checkpoints: bool = False
    """Keep the tuned weights, in our own layout; else they are deleted when the run is complete."""
    trust_remote_code: bool = False
    """Run Python code that comes with MODEL. Off unless asked for."""
    tiny: bool = False
    """A random model of 1 MB, no downloads: shows the pipeline, the figures mean nothing."""

    def __post_init__(self) -> None:
        _increasing("align-sizes", self.align_sizes, self.batch)
        _increasing("reverse-sizes", self.reverse_sizes, self.batch)
        for name in ("samples", "pairs", "max_new_tokens", "batch", "rank"):
            if getattr(self, name) < 1:
                raise refused(name, f"must be at least 1, got {getattr(self, name)}")
        if self.learning_rate <= 0 or self.temperature <= 0:
            raise refused("learning-rate or temperature", "must be greater than 0")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise refused("seeds", f"must be distinct and at least one, got {self.seeds}")
        for name in ("align_mix", "reverse_mix"):
            if not 0 <= getattr(self, name) <= 100:
                raise refused(name, f"is a percentage, got {getattr(self, name)}")
        if self.reversal_data and self.reverse_mix:
            raise refused("reverse-mix", "mixes the data's own two sides", "leave --reversal-data or it out")
        if self.tuner == "full" and self.rank != 8:
            raise refused("rank", "has no effect on full tuning", "add --tuner lora or leave --rank out")
        if self.reverse and not self.align:
            raise refused(
                "reverse", "needs the wanted examples too", "give --align FILE, or one file of preference pairs"
            )
        if self.tiny and self.base:
            raise refused("tiny", "is a model of its own and has no base", "leave --base or --tiny out")

    @property
    def trains(self) -> bool:
        """Whether any weight is moved: always, unless MODEL is compared with its base and the user brings no data."""
        return self.base is None or self.align is not None


PRESETS: dict[str, dict[str, object]] = {
    "quick": {"align_sizes": (48,), "reverse_sizes": (8,), "samples": 24, "pairs": 40, "neutral": 8, "layers": "none",
              "forced_tokens": (0,), "arms": "core"},
    "tiny": {"align_sizes": (8, 16), "reverse_sizes": (4, 8), "batch": 4, "samples": 8, "pairs": 8, "neutral": 4,
             "max_new_tokens": 12, "learning_rate": 1e-3, "dtype": "float32", "device": "cpu"},
    "thorough": {"align_sizes": (32, 128, 512), "reverse_sizes": (8, 32, 64, 128), "samples": 96, "pairs": 96,
                 "neutral": 96, "seeds": (0, 1, 2), "layers": "all", "arms": "all"},
}  # fmt: skip


def _increasing(name: str, sizes: tuple[int, ...], batch: int) -> None:
    if not sizes or list(sizes) != sorted(set(sizes)) or sizes[0] < 1:
        raise refused(name, f"must be increasing and greater than 0, got {_listed(sizes)}")
    wrong = [size for size in sizes if size % batch]
    if wrong:
        fit = sorted({max(batch, round(size / batch) * batch) for size in sizes})
        raise refused(
            name, f"must be multiples of the batch of {batch}, {_listed(wrong)} is not", f"--{name} {_listed(fit)}"
        )


def _listed(sizes: object) -> str:
    return ",".join(str(size) for size in sizes)  # type: ignore[attr-defined]

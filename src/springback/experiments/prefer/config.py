"""What `springback prefer` is asked, and what that comes to. Torch-free, so `--help` is quick."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

from springback.data.scores import Rule
from springback.experiments.audit.config import EMBEDDED, Audit
from springback.experiments.prefer.checks import require

Way = Literal["auto", "precomputed", "adapter_off", "model"]
PRODUCTS: Final = 8
"""Most pairs whose inner products are read, unless asked otherwise."""
PRODUCTS_SHARE: Final = 0.1
"""Share of the run's time that they may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefer:
    """The options. What is left open comes from the defaults in brackets, or from `--tiny`."""

    model: str = EMBEDDED
    """The model to train: a directory, a hub id (`org/name@revision`) or an alias."""
    loss: str = "dpo"
    """Loss of the family, options behind a colon (`simpo:beta=2,gamma=1`); a FILE.py with loss(…), or module:name."""
    cure: str = "none"
    """Against entanglement: normalised[:form=unit,inner=adam], calibrated, anchor[:weight=1], differing[:first=4],
    low_entanglement[:share=0.5], learned_mask[:penalty=0.1], a FILE.py with weights(chosen, rejected)."""
    filter: str | None = None
    """Leave training pairs out: product (those whose chosen answer a step would lower; product:bound=1.2 or
    product:share=0.1 otherwise), ches:share=0.1 or ches:bound=X; measured on the model as it is before training."""
    reference: str | None = None
    """Model that the loss compares with; default: the model as it is before training."""
    reference_way: Way = "auto"
    """Where its log-probabilities come from; auto: computed once and stored in the run, where the loss allows it."""
    reference_logprobs: str | None = None
    """File of stored ones (`reference.safetensors` of a run); refused where it was made for something else."""
    held_out: str = "0.1"
    """Data that is measured and not trained on: a share, a number of rows (the file's last ones), or a file."""
    read_pairs: int = 64
    """Most pairs at each reading, of the held-out and of the training ones, evenly spaced."""
    read_every: int | None = None
    """Optimiser steps between readings (default: an eighth of the run)."""
    read_at: tuple[int, ...] = ()
    """More readings, after so many optimiser steps."""
    read_products: int | None = None
    """Training pairs whose gradients' inner product is read at each reading (default: 8, or as many as take at most a
    tenth of the run's time; with --tiny 0)."""
    epochs: int = 1
    """Passes over the training data, each in an order of its own."""
    steps: int | None = None
    """Optimiser steps at most; the first steps of a longer run are those of a shorter one."""
    batch: int = 8
    """Rows of the data an optimiser step."""
    accumulate: int = 1
    """Micro-batches that a step's batch is cut into; saves memory, changes nothing but rounding."""
    learning_rate: float | None = None
    """AdamW, constant after the warm-up (default: 5e-6 full, 1e-4 LoRA; with --tiny 1e-3)."""
    warmup_steps: int | None = None
    """Steps of linear warm-up, by step index (default: 10; with --tiny 0)."""
    clip: float = 1.0
    """Largest gradient norm of a step."""
    weight_decay: float = 0.0
    """Decoupled weight decay."""
    tuner: Literal["full", "lora"] = "full"
    """Full tuning, or LoRA (extra `peft`)."""
    rank: int = 8
    """Rank of LoRA; without effect on full tuning, and refused there when changed."""
    max_length: int | None = None
    """Most tokens of prompt and answer together (default: what the model reads). Nothing is ever cut."""
    too_long: Literal["refuse", "drop"] = "refuse"
    """What becomes of longer rows."""
    pairs_from: Rule = "best_worst"
    """How ranked answers become pairs, for a loss of pairs."""
    score_field: str | None = None
    """Name of the score of an answer in `completions` (default: score, overall_score, rating or fine-grained_score)."""
    probes: int = 16
    """Held-out prompts at most whose greedy and unrelated answers are watched; 0 watches none."""
    max_new_tokens: int = 32
    """Length of the greedy answers whose log-probability is watched, and of drawn ones, in tokens."""
    samples: int = 4
    """Answers that the policy writes to each prompt in each step, for a loss that looks at them (d2o)."""
    self_play: int = 0
    """Rounds of training in which the rejected answers are the model's own (SPIN); 0 trains on DATA as it is."""
    checkpoint_every: int = 50
    """Optimiser steps between checkpoints; a killed run goes on from the last one."""
    checkpoint_seconds: float = 60.0
    """Seconds of training between checkpoints at most, and of computing a reference between its parts; longer where a
    checkpoint takes over a tenth of it."""
    seed: int = 0
    """Of the order of rows and of LoRA's first values."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Compute type; auto is bfloat16, with --tiny float32."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""
    keep_checkpoints: bool = False
    """Keep the last checkpoint; else it is deleted when the run is complete."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Off unless asked for."""
    tiny: bool = False
    """A random model of 1 MB, no downloads: shows the pipeline, the figures mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The options with nothing left open but what the data decides; units as in `Prefer`."""

    data: str | None
    """File of preference data; None for the pairs that come with Springback."""
    model: str
    loss: str
    cure: str
    filter: str | None
    reference: str | None
    reference_way: Way
    reference_logprobs: str | None
    held_out: str
    read_pairs: int
    read_every: int | None
    read_at: tuple[int, ...]
    read_products: int | None
    epochs: int
    steps: int | None
    batch: int
    accumulate: int
    learning_rate: float
    warmup_steps: int
    clip: float
    weight_decay: float
    tuner: Literal["full", "lora"]
    rank: int
    max_length: int | None
    too_long: Literal["refuse", "drop"]
    pairs_from: Rule
    score_field: str | None
    probes: int
    max_new_tokens: int
    samples: int
    self_play: int
    checkpoint_every: int
    checkpoint_seconds: float
    seed: int
    dtype: Literal["auto", "float32", "bfloat16"]
    device: Literal["auto", "cpu", "cuda", "mps"]
    keep_checkpoints: bool
    trust_remote_code: bool
    tiny: bool

    def total(self, rows: int) -> int:
        """Optimiser steps over so many training rows; the last batch of the run may be smaller."""
        whole = -(-self.epochs * rows // self.batch)
        return whole if self.steps is None else min(self.steps, whole)

    def readings(self, total: int) -> tuple[int, ...]:
        """Steps before which is read: 0, every so many, and after the last."""
        every = self.read_every or max(1, -(-total // 8))
        return tuple(sorted({*range(0, total, every), *(step for step in self.read_at if step < total), total}))

    def products(self, total: int) -> int:
        """Pairs whose inner products are read at each of the readings; one takes about twice a pair's training."""
        if self.read_products is not None:
            return self.read_products
        most = int(PRODUCTS_SHARE * total * self.batch / (2 * len(self.readings(total))))
        return min(PRODUCTS, most) if most >= 2 else 0

    def audit(self) -> Audit:
        """The part of it that loading and room look at."""
        return Audit(
            model=self.model, align_sizes=(self.batch,), reverse_sizes=(self.batch,), tuner=self.tuner, rank=self.rank,
            batch=self.batch, learning_rate=self.learning_rate, dtype=self.dtype, device=self.device,
            trust_remote_code=self.trust_remote_code, tiny=self.tiny,
        )  # fmt: skip


def settled(asked: Prefer, data: Path | str | None = None) -> Design:
    """The design that the options ask for. RefusedError names the option that cannot hold."""
    found: dict[str, Any] = {**asdict(asked), "data": None if data is None else str(data)}
    for name, value in _defaults(asked).items():
        if found[name] in (None, "auto"):
            found[name] = value
    require(found)
    return Design(**{field.name: found[field.name] for field in fields(Design)})


def _defaults(asked: Prefer) -> dict[str, Any]:
    if asked.tiny:
        return {"learning_rate": 1e-3, "warmup_steps": 0, "dtype": "float32", "device": "cpu", "read_products": 0}
    return {"learning_rate": 5e-6 if asked.tuner == "full" else 1e-4, "warmup_steps": 10, "dtype": "bfloat16"}

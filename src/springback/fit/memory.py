"""Bytes that tuning needs, as arithmetic and in named parts. Torch-free, so that `--plan` is quick.

An estimate to refuse by, not a measurement: it is built from what is held at the worst moment (the end of a forward
pass, or the update), with the constants below measured on small decoders.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

LIBRARIES: Final = 650 * 2**20
"""Python, torch and transformers once imported, with their working buffers."""
SAVED_PER_LAYER: Final = 34
"""Numbers kept for the backward pass per token, layer and unit of width (norms, attention and feed-forward; Korthikanti
et al., 2022, §4.1, count bytes of 2 in the same way)."""
ADAPTER_WIDTHS: Final = 16
"""Input and output widths of one layer's linear maps together, in units of the model's width: two factors of rank r
for each map have this many times r numbers."""
BYTES: Final[Mapping[str, int]] = MappingProxyType({"float32": 4, "bfloat16": 2, "float64": 8})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the arithmetic needs to know of a model."""

    parameters: int
    layers: int
    hidden: int
    vocab: int
    heads: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Bytes by part; `total` is what must be free."""

    weights: int
    masters: int
    moments: int
    gradients: int
    activations: int
    logits: int
    start_copy: int
    libraries: int

    @property
    def total(self) -> int:
        return sum(self.parts().values())

    def parts(self) -> dict[str, int]:
        """Name → bytes, in the order in which they are explained."""
        return {name: getattr(self, name) for name in self.__slots__}

    def sentence(self) -> str:
        """The arithmetic in one line, parts of no bytes left out."""
        parts = [f"{name.replace('_', ' ')} {gib(size)}" for name, size in self.parts().items() if size]
        return f"{' + '.join(parts)} = {gib(self.total)} GiB"


def need(  # noqa: PLR0913  one option for each thing that takes memory
    shape: Shape,
    *,
    tuner: Literal["full", "lora"],
    dtype: Literal["float32", "bfloat16"],
    batch_tokens: int,
    answer_tokens: int,
    rank: int = 8,
    accumulate: int = 1,
    start_copy: bool = True,
) -> Need:
    """Bytes for tuning with micro-batches of `batch_tokens` tokens, `answer_tokens` of them under the loss.

    `start_copy`: an untouched copy of the start stays in memory; LoRA needs none, its adapter is switched off instead.
    """
    full, size = tuner == "full", BYTES[dtype]
    trained = shape.parameters if full else adapter_parameters(shape, rank)
    trained_size = size if full else BYTES["float32"]
    summed = accumulate > 1 and trained_size == BYTES["bfloat16"]
    return Need(
        weights=shape.parameters * size + (0 if full else trained * trained_size),
        masters=0 if trained_size == BYTES["float32"] else trained * BYTES["float32"],
        moments=2 * trained * BYTES["float32"],
        gradients=trained * (trained_size + (BYTES["float32"] if summed else 0)),
        activations=_activations(shape, batch_tokens, size, full=full),
        logits=_logits(shape, answer_tokens, size),
        start_copy=shape.parameters * size if full and start_copy else 0,
        libraries=LIBRARIES,
    )


def adapter_parameters(shape: Shape, rank: int) -> int:
    """Numbers in a LoRA of this rank on every linear layer, about."""
    return rank * ADAPTER_WIDTHS * shape.hidden * shape.layers


def gib(size: int) -> str:
    return f"{size / 2**30:.2f}"


def _activations(shape: Shape, tokens: int, size: int, *, full: bool) -> int:
    """Kept for the backward pass. LoRA keeps the inputs of its fp32 factors as well."""
    kept = tokens * shape.hidden * shape.layers
    return kept * SAVED_PER_LAYER * size + (0 if full else kept * 8 * BYTES["float32"])


def _logits(shape: Shape, answer_tokens: int, size: int) -> int:
    """Logits, their fp32 copy, log-softmax and its gradient; the head works on at most `LOSS_ROWS` rows at once."""
    rows = min(answer_tokens, LOSS_ROWS)
    return rows * shape.vocab * (2 * size + 3 * BYTES["float32"])


LOSS_ROWS: Final = 512
"""Answer positions whose logits exist at once while tuning (`train.sft`)."""

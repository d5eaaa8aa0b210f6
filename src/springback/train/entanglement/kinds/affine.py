"""y = c(x) + Σ_k e_k(x) ∘ p_k for p_k of the shape of the output's last axes: gains and shifts of any norm.

    ∇p_k = Σ_t signal_t ∘ e_k(x_t)          e_k = y(p_k = 1, others 0) − y(all 0)

So a norm's standardised input is measured on the norm itself: RMSNorm, LayerNorm, Gemma's 1 + gain, with or without a
shift, over the width of the model or of a head.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from springback.train.entanglement.kinds.call import Call, same
from springback.train.entanglement.lines import Lines
from springback.train.entanglement.stretches import accurate
from springback.train.entanglement.uses import Flat, Use


@dataclass(frozen=True, slots=True)
class Affine:
    """Its parameters of that form."""

    vectors: tuple[str, ...]

    @classmethod
    def recognised(cls, call: Call) -> "Affine | None":
        """By its output for random vectors, which must be the sum of its parts."""
        out = call.out
        if (
            not call.own
            or not isinstance(out, Tensor)
            or any(p.shape != out.shape[-p.ndim :] for p in call.own.values())
        ):
            return None
        values = call.random()
        zero, slopes = _slopes(call)
        expected = zero + sum(slope * values[name] for name, slope in slopes.items())
        return cls(tuple(values)) if same(call.again(values), expected) else None

    def uses(self, call: Call, signal: Tensor, lines: Lines) -> Iterator[tuple[str, Use]] | None:
        """Of every vector; None where the lines cannot be told apart."""
        found = {}
        for name, slope in _slopes(call)[1].items():
            parts = lines.apart(accurate(signal) * slope, last=call.own[name].ndim)
            if parts is None:
                return None
            found[name] = Flat(torch.stack([part.sum(dim=0) for part in parts]), set(range(len(parts))))
        return iter(found.items())


def _slopes(call: Call) -> tuple[Tensor, dict[str, Tensor]]:
    """The output without parameters, and what each vector is multiplied by."""
    zeros = {name: torch.zeros_like(p) for name, p in call.own.items()}
    nothing = call.again(zeros)
    return nothing, {name: call.again(zeros | {name: torch.ones_like(p)}) - nothing for name, p in call.own.items()}

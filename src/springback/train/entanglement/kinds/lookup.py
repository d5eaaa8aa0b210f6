"""y_t = scale · W[place_t]: token and position embeddings, whatever makes the places out of the arguments.

    ∇W = Σ_t onehot(place_t) ⊗ scale · signal_t

The places are read off the module itself: it is asked again with a matrix whose rows say their own number.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from springback.train.entanglement.factors import Dense, Index
from springback.train.entanglement.kinds.call import Call, same
from springback.train.entanglement.lines import Lines
from springback.train.entanglement.padding_row import padding_row
from springback.train.entanglement.uses import Outer, Use


@dataclass(frozen=True, slots=True)
class Lookup:
    """Which parameter is W."""

    matrix: str

    @classmethod
    def recognised(cls, call: Call) -> "Lookup | None":
        """By its output for a matrix of four columns: number, 1 and two of random values."""
        name, rows = next(((name, len(p)) for name, p in call.own.items() if p.ndim == 2), ("", 0))
        if len(call.own) != 1 or not rows or call.read is not None or _unusual(call):
            return None
        try:
            out = call.again({name: _coded(rows, call)})
        except (RuntimeError, ValueError, TypeError, IndexError):
            return None
        if not isinstance(out, Tensor) or out.shape[-1] != 4:
            return None
        places, scale = _places(out), out[..., 1:2]
        if places.min() < 0 or places.max() >= rows or not same(out, scale * _coded(rows, call)[places].to(out)):
            return None
        return cls(name)

    def uses(self, call: Call, signal: Tensor, lines: Lines) -> Iterator[tuple[str, Use]] | None:
        """Of W; None where the lines cannot be told apart."""
        matrix, silent = call.own[self.matrix], padding_row(call.module)
        places = _places(call.again({self.matrix: _coded(len(matrix), call, columns=2)}))
        scaled = signal * call.again({self.matrix: torch.ones_like(matrix[:, :1])})
        if silent is not None:
            scaled = scaled.masked_fill((places == silent)[..., None], 0)
        where, back = lines.apart(places, last=0), lines.apart(scaled)
        if where is None or back is None:
            return None
        left = {line: Index(values) for line, values in enumerate(where)}
        right = {line: Dense(values) for line, values in enumerate(back)}
        return iter([(self.matrix, Outer(left, right))])


def _coded(rows: int, call: Call, columns: int = 4) -> Tensor:
    device = next(iter(call.own.values())).device
    number = torch.arange(rows, dtype=torch.float64)
    draw = torch.Generator().manual_seed(0)
    kept = [number, torch.ones_like(number), *torch.randn(columns - 2, rows, generator=draw, dtype=torch.float64)]
    return torch.stack(kept, dim=1).to(device)


def _places(out: Tensor) -> Tensor:
    """Row numbers, whatever the module multiplies its rows by."""
    return (out[..., 0] / out[..., 1]).round().long()


def _unusual(call: Call) -> bool:
    return any(bool(getattr(call.module, name, None)) for name in ("max_norm", "scale_grad_by_freq", "sparse"))

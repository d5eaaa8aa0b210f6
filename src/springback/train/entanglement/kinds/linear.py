"""y = W x + b, with W as torch's linear layer keeps it or transposed (GPT-2's Conv1D); LoRA's factors are two of them.

∇W = Σ_t signal_t ⊗ x_t          ∇b = Σ_t signal_t
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from springback.train.entanglement.factors import Dense
from springback.train.entanglement.kinds.call import Call, same
from springback.train.entanglement.lines import Lines
from springback.train.entanglement.stretches import accurate
from springback.train.entanglement.uses import Flat, Outer, Use


@dataclass(frozen=True, slots=True)
class Linear:
    """Which of the module's parameters is W, which is b."""

    matrix: str
    vector: str | None
    transposed: bool

    @classmethod
    def recognised(cls, call: Call) -> "Linear | None":
        """By its output with random W and b."""
        matrices = [name for name, p in call.own.items() if p.ndim == 2]
        vectors = [name for name, p in call.own.items() if p.ndim == 1]
        x = call.read
        if x is None or len(matrices) != 1 or len(vectors) > 1 or len(call.own) != len(matrices) + len(vectors):
            return None
        values = call.random()
        out, bias = call.again(values), values[vectors[0]] if vectors else None
        for transposed in (False, True):
            weight = values[matrices[0]].T if transposed else values[matrices[0]]
            if x.shape[-1] == weight.shape[1] and same(out, F.linear(x, weight, bias)):
                return cls(matrices[0], vectors[0] if vectors else None, transposed)
        return None

    def uses(self, call: Call, signal: Tensor, lines: Lines) -> Iterator[tuple[str, Use]] | None:
        """Of W and b; None where the lines cannot be told apart."""
        assert call.read is not None
        read, back = lines.apart(call.read), lines.apart(signal)
        return None if read is None or back is None else self._uses(call.read, read, back)

    def _uses(self, source: Tensor, read: list[Tensor], back: list[Tensor]) -> Iterator[tuple[str, Use]]:
        given = {line: Dense(values, source) for line, values in enumerate(read)}
        signal = {line: Dense(values) for line, values in enumerate(back)}
        yield self.matrix, Outer(given, signal) if self.transposed else Outer(signal, given)
        if self.vector is not None:
            yield self.vector, Flat(torch.stack([accurate(b).sum(dim=0) for b in back]), set(range(len(back))))

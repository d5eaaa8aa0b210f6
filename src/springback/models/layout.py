"""Where the residual stream of a decoder runs, found by its structure and proven on a traced forward.

No architecture is named here. The block list is the outermost, longest `nn.ModuleList` whose members are called once
each, in order, each being given exactly what the one before it gave. The site *after block l* (l = 0 … layers − 1) is
the output of its l-th member. `models.proof` says what is proven; what cannot be proven is refused, not guessed.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

Proof = Literal["branches", "chain"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The verified structure of one network. Names are those of `network.named_modules()`; no module is held."""

    blocks: tuple[str, ...]
    """The blocks, first to last."""
    arity: tuple[int, ...]
    """Per block: 0 where it returns a bare tensor, else the length of the tuple it returns."""
    width: int
    """Size of the residual stream."""
    embedding: str | None
    """The token embedding; None where tokens are embedded by something else than `nn.Embedding`."""
    norm: str | None
    """The module that is given the last block's output; None where something else happens to it first."""
    head: str | None
    """The last map to the vocabulary; None where it is no module of its own."""
    proof: Proof
    """`branches`: block out − block in = scale · Σ branches, for every block. `chain`: no such sum was found (the norm
    stands on the stream itself), but what a block gives is bit-equal to what the next is given, and a restart after
    every single block reproduces the logits."""
    branches: tuple[tuple[str, ...], ...]
    """Per block, the submodules that write into the stream (relative names); empty under `chain`."""
    scales: tuple[float, ...]
    """Per block, what the sum of its branches is multiplied with: 1.0 except under a residual multiplier."""
    error: float
    """Largest elementwise error of the sum, relative to |in| + |out| + Σ |branch|; 0 under `chain`."""
    restarts: tuple[int, ...]
    """The blocks after which a restart was checked to reproduce the logits."""
    cached: bool
    """Whether the network fills a cache of keys and values that can be cut back."""

    @property
    def layers(self) -> int:
        """How many blocks, hence how many sites."""
        return len(self.blocks)

    def block(self, network: nn.Module, layer: int) -> nn.Module:
        """The module of block `layer`; ValueError where there is no such block."""
        if not 0 <= layer < self.layers:
            raise ValueError(f"Sites are after block 0 … {self.layers - 1}: got {layer}")
        return network.get_submodule(self.blocks[layer])

    def matches(self, other: "Layout") -> bool:
        """Whether residuals of one network have a place in the other: as many blocks, as wide."""
        return (self.layers, self.width) == (other.layers, other.width)

    @classmethod
    def of(cls, network: nn.Module) -> "Layout":
        """The layout of a causal language model; RefusedError (kind `model`) where it cannot be proven.

        Costs a handful of forwards of a few tokens, three partial ones for the restarts (one per block under `chain`).
        """
        from springback.models.proof import proven  # proof needs this class and the hooks that need it

        return proven(network)


def chosen(layers: int, count: int | None) -> tuple[int, ...]:
    """Which of `layers` sites to read: all, or `count` of them evenly spread with the first and the last among them."""
    if count is None or count >= layers:
        return tuple(range(layers))
    if count < 2:
        raise ValueError(f"A curve over layers needs its first and its last: got {count}")
    return tuple(round(i * (layers - 1) / (count - 1)) for i in range(count))

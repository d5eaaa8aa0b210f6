"""Which submodules of a block write into its residual stream: *block out − block in = sum of their outputs*.

The subset is searched for, not assumed: it turns out to be the post-norms for gemma2 and olmo2, attention and MLP in
parallel for gpt-neox and falcon, and the innermost projections where the addition is folded into a submodule (bloom,
mpt). A constant factor common to the branches is allowed (granite's residual multiplier) and reported.

The bound is per element, in units of rounding:

    |out − in − scale · Σ branch| ≤ TOLERANCE · eps · (|in| + |out| + Σ |branch|)

Several thousand elements have to meet it at once, so a wrong subset does not pass by chance, in bfloat16 neither.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from springback.models.trace import Trace

TOLERANCE = 4.0
"""Roundings that two or three additions and a scaling may leave, in units of the compute dtype's eps."""
MOST = 4
"""Most branches looked for: two is usual, three with a parallel mixture of experts."""
SAMPLE = 512
"""Elements on which a subset is tried before all of them are."""
SMALLEST = 1e-300
"""Keeps 0 / 0 from becoming NaN."""
PLENTY = 24
"""Candidates beyond which subsets of three and four are no longer tried."""


@dataclass(frozen=True, slots=True)
class Branches:
    """The proof for one block."""

    names: tuple[str, ...]
    """Submodules whose outputs are added into the stream, named relative to the block; () where nothing is added."""
    scale: float
    """What their sum is multiplied with: 1.0 except where the architecture has a residual multiplier."""
    error: float
    """Largest elementwise error over |in| + |out| + Σ |branch|."""


class Streams(NamedTuple):
    """What a block was given and gave, in float64."""

    given: Float[Tensor, " element"]
    gave: Float[Tensor, " element"]


class Candidate(NamedTuple):
    """A submodule that could be a branch."""

    name: str
    gave: Float[Tensor, " element"]


def branches(trace: Trace, block: str, *, try_first: Sequence[str] = ()) -> Branches | None:
    """The smallest, outermost set of submodules of `block` that explains its residual; None where there is none."""
    call = trace.once(block)
    if call is None or call.given is None or call.gave is None:
        return None
    streams = Streams(call.given.double().flatten(), call.gave.double().flatten())
    bound = TOLERANCE * torch.finfo(call.gave.dtype).eps
    stride = max(1, streams.given.numel() // SAMPLE)
    for subset in _subsets(_candidates(trace, block, call.gave), try_first):
        if _explained(streams, subset, bound, stride=stride):
            found = _explained(streams, subset, bound)
            if found:
                return found
    return None


def _candidates(trace: Trace, block: str, stream: Tensor) -> list[Candidate]:
    """Submodules called once with an output of the stream's size, outermost first, equal outputs once."""
    found: list[Candidate] = []
    for name in sorted((n for n in trace.calls if n.startswith(f"{block}.")), key=lambda n: n.count(".")):
        call = trace.once(name)
        if (
            call is None
            or call.gave is None
            or call.gave.numel() != stream.numel()
            or call.gave.shape[-1] != stream.shape[-1]
        ):
            continue
        gave = call.gave.double().flatten()
        if not any(torch.equal(gave, other.gave) for other in found):
            found.append(Candidate(name.removeprefix(f"{block}."), gave))
    return found


def _subsets(candidates: list[Candidate], try_first: Sequence[str]) -> Iterator[tuple[Candidate, ...]]:
    usual = tuple(candidate for candidate in candidates if candidate.name in try_first)
    if usual and len(usual) == len(try_first):
        yield usual
    for size in range(MOST + 1 if len(candidates) <= PLENTY else 3):
        yield from combinations(candidates, size)


def _explained(streams: Streams, subset: Sequence[Candidate], bound: float, *, stride: int = 1) -> Branches | None:
    """The subset as a proof, if its sum meets `bound` on every `stride`-th element; a scale of 1 is preferred."""
    given, gave = streams.given[::stride], streams.gave[::stride]
    written = torch.stack([given * 0, *(candidate.gave[::stride] for candidate in subset)])
    residual, total, size = gave - given, written.sum(dim=0), written.abs().sum(dim=0)
    fitted = (residual @ total / (total @ total).clamp_min(SMALLEST)).item()
    for scale in (1.0, fitted):
        reach = given.abs() + gave.abs() + size * max(1.0, abs(scale))
        error = ((residual - scale * total).abs() / reach.clamp_min(SMALLEST)).max().item()
        if error <= bound:
            return Branches(tuple(candidate.name for candidate in subset), scale, error)
    return None

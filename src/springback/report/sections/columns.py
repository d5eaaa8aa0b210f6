"""The columns of the rebound matrix: aligning, N = 0, then one for each N; which chains stand in each."""

from collections.abc import Sequence
from dataclasses import dataclass

from springback.report.evidence import Evidence
from springback.report.numbers import plural, sized
from springback.report.point import GIVEN, Point, Size


@dataclass(frozen=True, slots=True)
class Column:
    """One panel's place in the matrix."""

    title: str
    subtitle: str
    chains: tuple[tuple[Point, ...], ...]
    """The chain of every seed."""
    placebos: tuple[tuple[str, tuple[Point, ...]], ...]
    ghosts: tuple[tuple[Point, ...], ...]
    aligning: bool = False


def columns(evidence: Evidence) -> list[Column]:
    found = []
    sizes, seeds = evidence.sizes, evidence.seeds
    if sizes:
        aligning = tuple(tuple(_aligning(evidence, seed, "main")) for seed in seeds)
        benign = tuple(p for p in _aligning(evidence, seeds[0], "benign") if p.arm == "benign")
        found.append(
            Column("Aligning", "start → N", aligning, (("benign", benign),) if benign else (), (), aligning=True)
        )
    from_start = tuple(tuple(evidence.chain(seed, "from_start", 0)) for seed in seeds)
    if any(from_start):
        found.append(Column(sized("N", 0), "start, reversed", from_start, (), _ghosts(evidence, sizes)))
    return found + [_column(evidence, size) for size in sizes if _reversed(evidence, size)]


def _column(evidence: Evidence, size: Size) -> Column:
    first = evidence.seeds[0]
    chains = tuple(tuple(evidence.chain(seed, "main", size)) for seed in evidence.seeds)
    placebos = tuple(
        (arm, tuple(chain)) for arm in ("benign", "continuation") if (chain := evidence.chain(first, arm, size))
    )
    others = tuple(other for other in evidence.sizes if other != size)
    steps = chains[0][0].moved("steps", phase="align") if chains[0] else 0
    title = "As given" if size == GIVEN else sized("N", size)
    subtitle = f"{plural(steps, 'step')}, reversed" if steps else "reversed"
    return Column(title, subtitle, chains, placebos, _ghosts(evidence, others))


def _reversed(evidence: Evidence, size: Size) -> bool:
    return any(p.reversed for p in evidence.points if p.arm == "main" and p.aligned == size)


def _ghosts(evidence: Evidence, sizes: Sequence[Size]) -> tuple[tuple[Point, ...], ...]:
    return tuple(tuple(evidence.chain(evidence.seeds[0], "main", size)) for size in sizes)


def _aligning(evidence: Evidence, seed: int, arm: str) -> list[Point]:
    """The start and every point that was only aligned (or only benign-tuned)."""
    start = evidence.start(seed)
    found = [p for p in evidence.points if p.seed == seed and p.arm == arm and p.aligned and not p.reversed]
    return [start, *found] if start else found

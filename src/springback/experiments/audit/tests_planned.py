"""The tests, stated before anything is measured; the same list is later resolved, so none can be added or dropped.

Three families, each corrected by Holm for how many it states. *margin* decides the verdict. *score* asks the same of
what people see and stands beside it. *guard* asks for cheap explanations: that any further tuning does it, that the
start would fall as far, that the reversal moves nothing at all. A stated test that could not be measured counts.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from springback.experiments.audit.readings import Shape
from springback.experiments.audit.thresholds import ALPHA, cheap_sizes

Family = Literal["margin", "score", "guard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One stated test: a contrast, the side of 0 that supports the claim, and the claim."""

    name: str
    family: Family
    reading: str
    kind: str
    arm: str = "main"
    aligned: int | str
    reversed: int
    side: int = 1
    """+1: the claim holds where the statistic is above 0; −1: below."""
    claim: str

    @property
    def threshold(self) -> str:
        side = "above" if self.side > 0 else "below"
        return f"{side} 0: 95 % interval clear of it, Holm-corrected p ≤ {ALPHA.value:g}"


def tests_planned(shape: Shape) -> list[Planned]:
    """Every test of an audit of this shape."""
    return [*_deciding(shape, "margin"), *_deciding(shape, "score"), *_guards(shape)]


def as_json(planned: list[Planned]) -> list[dict[str, Any]]:
    """For `run.json`: what each test is, on which statistic, against which threshold."""
    return [{**asdict(one), "threshold": one.threshold} for one in planned]


def cheap(shape: Shape) -> tuple[int, ...]:
    return cheap_sizes(shape.largest, shape.reversed)


def control(shape: Shape) -> str | None:
    """The unaligned model that the falls are compared with: the benign chain, else the start, else none."""
    return next((arm for arm in ("benign", "from_start") if arm in shape.arms), None)


def _deciding(shape: Shape, reading: Literal["margin", "score"]) -> list[Planned]:
    benign = "benign" in shape.arms
    than = "an equally tuned, unaligned model" if benign else "the start (no benign chain was asked for)"
    found = [_aligned(shape, reading, than=than, kind="gain_beyond_benign" if benign else "gain")]
    reference = control(shape)
    for n in cheap(shape):
        if reference:
            found.append(_beyond(shape, reading, n, reference))
        found.append(_half(shape, reading, n, side=1))
    if shape.reversed:
        found.append(_half(shape, reading, max(shape.reversed), side=-1))
    return found


def _aligned(shape: Shape, reading: Literal["margin", "score"], *, than: str, kind: str) -> Planned:
    return Planned(
        name=f"{reading}/aligned",
        family=reading,
        reading=reading,
        kind=kind,
        aligned=shape.largest,
        reversed=0,
        claim=f"The aligned model moved further towards wanted than {than}.",
    )


def _beyond(shape: Shape, reading: Literal["margin", "score"], n: int, reference: str) -> Planned:
    whom = "an equally tuned, unaligned model" if reference == "benign" else "the start (no benign chain)"
    return Planned(
        name=f"{reading}/falls_beyond@{n}",
        family=reading,
        reading=reading,
        kind="fall_beyond_benign" if reference == "benign" else "fall_beyond_start",
        side=-1,
        aligned=shape.largest,
        reversed=n,
        claim=f"Under the same {n} opposite examples the aligned model falls further than {whom}.",
    )


def _half(shape: Shape, reading: Literal["margin", "score"], n: int, *, side: int) -> Planned:
    said = "undo at least half of the gain" if side > 0 else "leave more than half of the gain"
    return Planned(
        name=f"{reading}/{'half_undone' if side > 0 else 'half_left'}@{n}",
        family=reading,
        reading=reading,
        kind="half_undone",
        aligned=shape.largest,
        reversed=n,
        side=side,
        claim=f"{n} opposite examples {said}.",
    )


def _guards(shape: Shape) -> list[Planned]:
    if not shape.reversed:
        return []
    return [*_moves(shape), *_explanations(shape), *_steeper(shape), *_returns(shape)]


def _moves(shape: Shape) -> list[Planned]:
    """That the reversal moves anything: without it "holds" would praise a reversal that did nothing."""
    said = {"main": "the aligned model", "benign": "the benign-tuned model", "from_start": "the start"}
    found = []
    for arm, whom in said.items():
        if arm in shape.arms:
            n = shape.dearest(arm)
            claim = f"{n} opposite examples lower {whom}."
            found.append(_guard(f"margin/falls/{arm}@{n}", "fall", shape, n, claim, arm=arm))
    return found


def _explanations(shape: Shape) -> list[Planned]:
    said = {"continuation": "a benign continuation lowers it", "from_start": "they lower the start"}
    names = {"continuation": "fall_beyond_continuation", "from_start": "fall_beyond_start"}
    taken = "from_start" if control(shape) == "from_start" else None  # then it is a deciding test already
    return [
        _guard(f"margin/{names[arm]}@{n}", names[arm], shape, n, f"{n} opposite examples lower it further than {what}.")
        for arm, what in said.items()
        if arm in shape.arms and arm != taken
        for n in cheap(shape)[-1:]
    ]


def _steeper(shape: Shape) -> list[Planned]:
    if len(shape.aligned) < 2:
        return []
    claim = f"The first fall is steeper after {shape.largest} than after {shape.aligned[0]} wanted examples."
    return [_guard("margin/steeper", "steeper", shape, min(shape.reversed), claim)]


def _returns(shape: Shape) -> list[Planned]:
    return [
        _guard(
            f"kl/returns@{n}", "fall", shape, n, f"After {n} opposite examples the distribution is nearer the start."
        )
        for n in shape.reversed
    ]


def _guard(name: str, kind: str, shape: Shape, n: int, claim: str, *, arm: str = "main") -> Planned:
    reading = name.partition("/")[0]
    aligned = {"from_start": 0, "benign": shape.benign}.get(arm, shape.largest)
    return Planned(
        name=name,
        family="guard",
        reading=reading,
        kind=kind,
        arm=arm,
        aligned=aligned,
        reversed=n,
        side=-1,
        claim=claim,
    )

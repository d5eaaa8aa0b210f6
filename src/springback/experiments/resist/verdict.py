"""From stored curves to pairs, tests and the verdict. The rule stands in `run.json` before anything is measured.

For models k < l: forward tunes θ_k onto D_l, inverse θ_l onto D_k, placebo the base onto both. `left` is the mean
excess over the steps as a share of the first one (`elasticity/resistance.py`); larger = harder.

    inverse_easier   mean over pairs of left(θ_k → D_l) − left(θ_l → D_k)
    beyond_placebo   the same, less left(base → D_l) − left(base → D_k): what the texts alone explain

1. `does_not`: the whole interval of `inverse_easier` lies below the margin; or that holds for `beyond_placebo`.
2. `resists`: both intervals lie above 0.
3. Else `inconclusive`.

A pair counts only where tuning works: models that all drift away from their targets say nothing of ease.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from springback.elasticity.resistance import Curve, contrast, far_enough, nearer, two_sided_p
from springback.experiments.resist.config import Design
from springback.stats.measured import Measured, mean, unmeasured
from springback.stats.paired import over_seeds, student_p

MARGIN: Final = 0.05
"""Share of the first excess: an inverse that is easier by less than this is not easier."""
SEEDS: Final = 3
"""From so many seeds on, intervals are over seeds; below, over held-out prompts."""
RULE: Final = {
    "statistic": "mean over pairs (k < l) of left(forward) - left(inverse), left = mean held-out excess over the steps "
    "as a share of the first",
    "placebo": "the same targets tuned onto from the base: left(base, D_l) - left(base, D_k)",
    "margin": MARGIN,
    "does_not": "the interval of inverse_easier, or that of beyond_placebo, lies below the margin",
    "resists": "the intervals of inverse_easier and of beyond_placebo lie above 0",
    "inconclusive": "else, or where no pair is telling",
    "telling": "on every seed every start of the pair is measurably away from its target, and forward or inverse comes "
    "measurably nearer on the mean over its steps",
}
NOTHING: Final = (
    "no pair comes measurably nearer to its target: more --samples, a larger --batch or a lower --learning-rate may"
)
Terms = list[tuple[float, Sequence[Curve]]]


class Quartet(NamedTuple):
    """The four curves that one pair of models gives on one seed."""

    seed: int
    earlier: int
    later: int
    forward: Curve
    inverse: Curve
    placebo_forward: Curve
    placebo_inverse: Curve

    @property
    def telling(self) -> bool:
        """Whether every start is measurably away from its target, and one direction comes measurably nearer."""
        away = all(far_enough(curve) for curve in self[3:])
        return away and (nearer(self.forward) or nearer(self.inverse))


class Test(NamedTuple):
    """A stated test with its outcome."""

    name: str
    statistic: Measured
    p: float | None

    def json(self) -> dict[str, Any]:
        body = {"name": self.name, "statistic": self.statistic.json(), "p": self.p}
        return {**body, "threshold": 0.0, "margin": MARGIN, "outcome": self.outcome}

    @property
    def outcome(self) -> str:
        low, high = self.statistic.low, self.statistic.high
        if low is None or high is None:
            return "undecided"
        return "fails" if high < MARGIN else "holds" if low > 0 else "undecided"


def quartets(design: Design, curves: Mapping[str, Curve]) -> list[Quartet]:
    """Every pair on every seed."""
    return [
        Quartet(
            seed, k, later, curves[f"{seed}/{k}-{later}"], curves[f"{seed}/{later}-{k}"],
            curves[f"{seed}/0-{later}"], curves[f"{seed}/0-{k}"],
        )
        for seed in design.seeds
        for k, later in design.pairs
    ]  # fmt: skip


def pair_body(pair: Quartet, cells: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One entry of `pairs[]`: both directions, and how much easier the inverse is."""
    k, later = pair.earlier, pair.later
    ids = {"forward": f"{k}-{later}", "inverse": f"{later}-{k}", "placebo_forward": f"0-{later}",
           "placebo_inverse": f"0-{k}"}  # fmt: skip
    return {
        "seed": pair.seed, "earlier": k, "later": later,
        **{name: _direction(cells[f"{pair.seed}/{key}"]) for name, key in ids.items()},
        "inverse_easier": contrast(easier([pair])).json(), "beyond_placebo": contrast(beyond([pair])).json(),
        "telling": pair.telling,
        "area_difference": area_difference([pair]).json(),
    }  # fmt: skip


def tests(pairs: Sequence[Quartet]) -> list[Test]:
    """Both stated tests, over the pairs that are telling on every seed."""
    lost = {(pair.earlier, pair.later) for pair in pairs if not pair.telling}
    used = [pair for pair in pairs if (pair.earlier, pair.later) not in lost]
    named = {"inverse_easier": easier, "beyond_placebo": beyond}
    return [Test(name, *_tested(used, terms)) for name, terms in named.items()]


def label(found: Sequence[Test]) -> str:
    """`resists`, `does_not` or `inconclusive`, by the rule."""
    outcomes = [test.outcome for test in found]
    return "does_not" if "fails" in outcomes else "resists" if set(outcomes) == {"holds"} else "inconclusive"


def easier(pairs: Sequence[Quartet]) -> Terms:
    return [(1.0, [pair.forward for pair in pairs]), (-1.0, [pair.inverse for pair in pairs])]


def beyond(pairs: Sequence[Quartet]) -> Terms:
    ahead, back = [pair.placebo_forward for pair in pairs], [pair.placebo_inverse for pair in pairs]
    return [*easier(pairs), (-1.0, ahead), (1.0, back)]


def area_difference(pairs: Sequence[Quartet]) -> Measured:
    """Forward less inverse in bit/token, first excess included: stands beside, decides nothing."""
    return mean(
        np.mean([_per_token(pair.forward) - _per_token(pair.inverse) for pair in pairs], axis=0),
        over="documents", unit="bit/token",
    )  # fmt: skip


def _per_token(curve: Curve) -> Any:
    """[document] whose mean is `area`."""
    return curve.areas / curve.tokens.mean()


def _tested(pairs: Sequence[Quartet], terms: Any) -> tuple[Measured, float | None]:
    if not pairs:
        return unmeasured(NOTHING), None
    seeds = sorted({pair.seed for pair in pairs})
    if len(seeds) < SEEDS:
        found = contrast(terms(pairs))
        return found, two_sided_p(terms(pairs)) if found.measured else None
    by_seed = [contrast(terms([pair for pair in pairs if pair.seed == seed])).estimate for seed in seeds]
    values = [value for value in by_seed if value is not None]
    if len(values) < len(seeds):
        return unmeasured("a start that is too near its target on one of the seeds"), None
    return over_seeds(values, unit="share"), student_p(values)


def _direction(cell: Mapping[str, Any]) -> dict[str, Any]:
    told = ("id", "role", "excess", "area", "left", "steps_to_half", "kl_from_target", "kl_from_base",
            "paper_statistic")  # fmt: skip
    return {name: cell[name] for name in told}

"""A scorer and what is known about it: texts in, probability of *wanted* out, its own quality beside it.

A scorer is measured on labelled rows that it was not fitted on and that are in no tuning and no measuring set. Its
score is reportable when its AUC there reaches the threshold and the interval of that AUC excludes ½; the second
condition matters with few rows, where a coin reaches 0.65 by luck.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from springback.data.records import Labelled
from springback.errors import RefusedError
from springback.stats.auc import auc
from springback.stats.bootstrap import student_quantile
from springback.stats.measured import Measured, mean, unmeasured

Read = Callable[[Sequence[str]], Sequence[Any]]
"""One probability of *wanted* a text; what it gives is checked, so it may be a stranger's."""
SHUFFLES: Final = 8
"""Of the labels, for the placebo: one alone may correlate with the truth by chance."""
AUC: Final = 0.65
"""Smallest held-out AUC of a reportable score, unless the caller names another."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """Call it with texts; read its worth from the fields."""

    name: str
    read: Read
    accuracy: Measured
    """Share of held-out rows on the right side of ½."""
    auc: Measured
    placebo_auc: Measured
    """Mean AUC over `SHUFFLES` shufflings of the labels: near ½, or the measurement itself is at fault."""
    reportable: bool
    why: str | None
    """Why its score is not reportable, or what to know where it is."""
    fitted_on: int
    """Rows; 0 for a scorer that was not fitted here."""
    held_out: int

    def __call__(self, texts: Sequence[str]) -> list[float]:
        """Probability of *wanted*, one a text, in [0, 1]; higher = more of the wanted behaviour.

        RefusedError (kind `scorer`) where the scorer gives anything but one finite number in [0, 1] a text.
        """
        return checked(self.read(list(texts)), len(texts), self.name)

    def json(self) -> dict[str, Any]:
        """The body of a run's `scorer` record."""
        told = ("name", "reportable", "why", "fitted_on", "held_out")
        measured = ("accuracy", "auc", "placebo_auc")
        return {**{n: getattr(self, n) for n in told}, **{n: getattr(self, n).json() for n in measured}}


def judged(
    name: str,
    read: Read,
    held_out: Sequence[Labelled],
    *,
    placebos: Sequence[Read] = (),
    fitted_on: int = 0,
    threshold: float = AUC,
    why: str | None = None,
) -> Scorer:
    """A scorer with its accuracy and AUC on `held_out`; `why` is what to know about the rows.

    `placebos` learnt from shuffled labels; without them the held-out labels are shuffled instead.
    """
    texts, wanted = [row.text for row in held_out], [row.wanted for row in held_out]
    scores = checked(read(texts), len(texts), name) if texts else []
    area = _auc(scores, wanted)
    if placebos:
        chance = [_auc(placebo(texts), wanted) for placebo in placebos]
    else:
        chance = [_auc(scores, shuffled(wanted, draw)) for draw in range(SHUFFLES)]
    too_low = _not_reportable(area, threshold)
    return Scorer(
        name, read, _accuracy(scores, wanted), area, _chance(chance),
        reportable=too_low is None, why=too_low or why, fitted_on=fitted_on, held_out=len(held_out),
    )  # fmt: skip


def absent(name: str, why: str) -> Scorer:
    """A scorer that could not be made: every reading of it is unmeasured, with the reason."""

    def refuse(_: Sequence[str]) -> list[float]:
        raise RefusedError(f"There is no scorer: {why}.", kind="scorer", where="--score",
                           next="Give more rows, or a scorer with --score lexicon|FILE|module:function.")  # fmt: skip

    none = unmeasured(why)
    return Scorer(name, refuse, none, none, none, reportable=False, why=why, fitted_on=0, held_out=0)


def checked(scores: Any, texts: int, name: str) -> list[float]:
    """The scores as floats, if they are one finite number in [0, 1] a text."""
    values = list(scores)
    wrong = [v for v in values if isinstance(v, bool | str) or not _is_share(v)]
    if len(values) == texts and not wrong:
        return [float(value) for value in values]
    found = f"{wrong[0]!r}" if wrong else f"{len(values)} numbers for {texts} texts"
    raise RefusedError(
        f"The scorer {name} gave {found}; one finite number in [0, 1] a text is needed.", kind="scorer",
        where="--score", next="Let score(texts) return a list of floats, one a text, 1 = wanted.",
    )  # fmt: skip


def shuffled(labels: Sequence[bool], draw: int) -> list[bool]:
    """The labels in a random order, the same for the same `draw`: as many of either kind, no meaning."""
    order = sorted(range(len(labels)), key=lambda i: sha256(f"labels:{draw}:{i}".encode()).digest())
    return [labels[i] for i in order]


def _is_share(value: Any) -> bool:
    try:
        return 0 <= float(value) <= 1
    except (TypeError, ValueError):
        return False


def _auc(scores: Sequence[float], wanted: Sequence[bool]) -> Measured:
    return auc(scores, wanted, over="documents")


def _chance(areas: Sequence[Measured]) -> Measured:
    estimates = [area.estimate for area in areas if area.estimate is not None]
    return mean(estimates, over="seeds", unit="AUC") if estimates else unmeasured(areas[0].why or "no rows")


def _accuracy(scores: Sequence[float], wanted: Sequence[bool]) -> Measured:
    """Share right at ½ with Wilson's interval (1927), which has a width where all are right."""
    n = len(scores)
    if not n:
        return unmeasured("there are no held-out rows")
    share = sum((score > 0.5) == side for score, side in zip(scores, wanted, strict=True)) / n
    z = student_quantile(0.975, 10**9)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Measured(share, min(middle - reach, share), max(middle + reach, share), 0.95, n, "documents", "share")


def _not_reportable(area: Measured, threshold: float) -> str | None:
    if area.estimate is None or area.low is None:
        return area.why
    if area.estimate < threshold:
        return f"its held-out AUC is {area.estimate:.2f}, below {threshold:.2f}"
    if area.low <= 0.5:
        return f"its held-out AUC of {area.estimate:.2f} may be chance: the interval begins at {area.low:.2f}"
    return None

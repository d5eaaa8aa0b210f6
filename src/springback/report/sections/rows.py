"""The rows of the rebound matrix: which value of a point each of them shows, and how."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from springback.report.evidence import Evidence
from springback.report.numbers import STYLES, Style
from springback.report.point import Point
from springback.report.value import Value

Read = Callable[[Evidence, Point], Value]


@dataclass(frozen=True, slots=True)
class Row:
    """One reading over the whole grid."""

    key: str
    """CSS class and radio button."""
    title: str
    explained: str
    read: Read
    style: Style
    level: bool
    """Whether the start's level is a line of its own; else the start is 0."""
    sign: bool = False
    texts: tuple[tuple[str, str], ...] = ()
    """For γ: the texts drawn in one panel, with their names."""


def rows(evidence: Evidence) -> tuple[Row, ...]:
    """Behaviour above, distance below."""
    return (_score(), _margin(evidence), _gamma(), _kl())


def change(evidence: Evidence, point: Point, reading: str = "margin") -> Value | None:
    """The paired change from the start at a point, where the run stored one; 0 exactly at the start itself."""
    if not point.aligned and not point.reversed:
        return Value(0.0, 0.0, 0.0, record=point.record)
    for kind in _kinds(point):
        key = (kind, reading, point.arm, point.aligned, point.reversed, str(point.seed))
        if (found := evidence.exact.get(key)) is not None:
            return turned(found.value) if kind == "overshoot" else found.value
    return None


def turned(value: Value) -> Value:
    """The same difference read the other way round."""
    low, high = (None if end is None else -end for end in (value.high, value.low))
    return replace(value, estimate=None if value.estimate is None else -value.estimate, low=low, high=high)


def _kinds(point: Point) -> tuple[str, ...]:
    """Contrasts that hold this model less the start: the gain before a reversal, the overshoot (turned) after it."""
    if point.arm == "from_start":
        return ("change", "fall")
    return ("change", "overshoot") if point.reversed else ("change", "gain")


def _score() -> Row:
    return Row("score", "Score", "probability of wanted, 0 to 1", lambda _, p: p.score(), STYLES["score"], level=True)


def _margin(evidence: Evidence) -> Row:
    """As paired change; as a level only where a run stored no differences."""
    style = STYLES["margin"]
    if any(c.kind in ("change", "gain") and c.reading == "margin" for c in evidence.contrasts):
        return Row(
            "margin", "Margin", "change from the start in 10⁻³ bit/bit, paired", _changed, style, level=False, sign=True
        )
    words = "level in 10⁻³ bit/bit, unpaired: read differences above"
    return Row("margin", "Margin", words, lambda _, p: p.margin(), style, level=True)


def _changed(evidence: Evidence, point: Point) -> Value:
    return change(evidence, point) or Value(None, why="no paired change in the stored run", record=point.record)


def _gamma() -> Row:
    texts = (("aligned", "wanted"), ("reversed", "opposite"), ("neutral", "neutral"))
    read: Read = lambda _, p: p.gamma("aligned")
    return Row(
        "gamma", "γ", "code length of held-out text, bit per bit", read, STYLES["gamma"], level=False, texts=texts
    )


def _kl() -> Row:
    words = "bit/token along the start’s samples; 0: start"
    return Row("kl", "KL(start‖model)", words, lambda _, p: p.kl(), STYLES["kl"], level=False)

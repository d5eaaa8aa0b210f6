"""What one panel of the rebound matrix shows, and where its values stand."""

from dataclasses import dataclass

from springback.report.charts.frame import Frame, Series, Tick
from springback.report.value import Real, Value


@dataclass(frozen=True)
class Panel:
    """What one panel shows."""

    title: str
    subtitle: str
    label: str
    """Said by a screen reader, before the values."""
    main: tuple[Series, ...]
    """The chain itself; several where seeds are drawn apart."""
    placebos: tuple[Series, ...]
    ghosts: tuple[Series, ...]
    """The chains of other sizes, for comparison: thin and grey."""
    start: Value | None
    """The start's level, drawn as a line with its interval."""
    ticks: tuple[Tick, ...]
    sign: bool = False
    apart: bool = False
    """The main lines are different texts, each with its name; not seeds of one line."""


def places(series: Series, frame: Frame, aside: Real = 0.0) -> list[tuple[Real, Real] | None]:
    at = [(spot, spot.value.estimate) for spot in series.spots]
    return [None if y is None else (frame.x(spot.x) + aside, frame.y(y)) for spot, y in at]

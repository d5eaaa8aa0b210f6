"""What stands written in a panel: first and last value, names of the placebos, the rest while it is pointed at."""

from collections.abc import Sequence

from springback.report.charts.frame import Frame, Series, Spot
from springback.report.charts.labels import Label, Placed, place
from springback.report.charts.marks import ends
from springback.report.charts.shown import Panel, places
from springback.report.numbers import bare
from springback.report.value import Real


def labels(shown: Panel, frame: Frame) -> list[Placed]:
    lines = [[p for p in places(s, frame) if p] for s in (*shown.main, *shown.placebos)]
    marks = [p for one in lines for p in one]
    lines += [_upright(spot, frame) for s in shown.placebos for spot in s.spots]
    if shown.start is not None and (level := shown.start.estimate) is not None:
        lines.append([(frame.left, frame.y(level)), (frame.width - frame.right, frame.y(level))])
    ends_of = _last_of_each(shown, frame) if shown.apart else _ends(shown, frame)
    wanted = [*ends_of, *_names(shown, frame), *_between(shown, frame)]
    return place(wanted, frame.bounds, lines, marks)


def _upright(spot: Spot, frame: Frame) -> list[tuple[Real, Real]]:
    interval = ends(spot.value)
    return [(frame.x(spot.x), frame.y(end)) for end in interval] if interval else []


def _ends(shown: Panel, frame: Frame) -> list[Label]:
    """First and last value of the main line; where seeds are drawn apart, the range over seeds."""
    series = [s for s in shown.main if any(spot.value.known for spot in s.spots)]
    if not series:
        return []
    last = len(series[0].spots) - 1
    found = []
    for index in sorted({0, last}):
        spots = [s.spots[index] for s in series if len(s.spots) > index and s.spots[index].value.known]
        if spots and not (index == 0 and last and spots[0].role == "s0"):
            found.append(_value_label(spots, series[0], shown, frame))
    return found


def _last_of_each(shown: Panel, frame: Frame) -> list[Label]:
    found = []
    for series in shown.main:
        known = [spot for spot in series.spots if spot.value.known]
        if known and (y := known[-1].value.estimate) is not None:
            text = f"{series.name} {bare(y, frame.style)}"
            found.append(
                Label(frame.x(known[-1].x), frame.y(y), text, f"vl {series.role}", record=known[-1].value.record)
            )
    return found


def _value_label(spots: Sequence[Spot], series: Series, shown: Panel, frame: Frame) -> Label:
    values = sorted(s.value.estimate for s in spots if s.value.estimate is not None)
    text = bare(values[0], frame.style, sign=shown.sign)
    if len(values) > 1:
        text = f"{text} to {bare(values[-1], frame.style, sign=shown.sign)}"
    role = series.role_of(spots[0])
    return Label(frame.x(spots[0].x), frame.y(values[-1]), text, f"vl {role}", record=spots[0].value.record)


def _names(shown: Panel, frame: Frame) -> list[Label]:
    found = []
    for series in shown.placebos:
        known = [spot for spot in series.spots if spot.value.known]
        if known and series.name:
            y = known[-1].value.estimate or 0.0
            found.append(Label(frame.x(known[-1].x), frame.y(y), series.name, f"dl {series.role}"))
    return found


def _between(shown: Panel, frame: Frame) -> list[Label]:
    """The other values: shown while the panel is pointed at or focused."""
    if len(shown.main) != 1:
        return []
    series = shown.main[0]
    inner = [s for s in series.spots[1:-1] if s.value.known]
    return [
        Label(
            frame.x(s.x),
            frame.y(y),
            bare(y, frame.style, sign=shown.sign),
            f"vl hv {series.role}",
            record=s.value.record,
        )
        for s in inner
        if (y := s.value.estimate) is not None
    ]

"""A mark stands where its value is, and the words beside it are its estimate."""

import pytest
from tests.report.reading import Element, read

from springback.report.charts.curve import Curve, curve
from springback.report.charts.falls import Falls, falls
from springback.report.charts.frame import Frame, Series, Spot, Tick
from springback.report.charts.panel import panel
from springback.report.charts.row import Column, interval_row
from springback.report.charts.shown import Panel
from springback.report.numbers import STYLES
from springback.report.value import Value

FRAME = Frame(216, 196, (0.0, 4.0), (0.0, 1.0), style=STYLES["score"])
VALUES = (0.2, 0.4, 0.9)


def measured(x: float, record: str = "cell:a") -> Value:
    return Value(x, x - 0.05, x + 0.08, n=48, over="prompts", unit="score", record=record)


def series(role: str, *values: float, name: str = "line") -> Series:
    spots = tuple(Spot(float(2 * i), measured(x, f"cell:{role}{i}")) for i, x in enumerate(values))
    return Series(role, spots, name)


def ticks(n: int = 3) -> tuple[Tick, ...]:
    return tuple(Tick(float(2 * i), (str(i),)) for i in range(n))


def heights(svg: Element, role: str) -> list[float]:
    return [float(c.attributes["cy"]) for c in svg.all("circle", class_=role)]


def drawn(**more) -> Element:
    given = {"title": "N = 8", "subtitle": "", "label": "Score", "placebos": (), "ghosts": (), "start": None}
    main = (series("al", *VALUES),)
    return read(panel(Panel(**{**given, "main": main, "ticks": ticks(), **more}), FRAME, inner=False))


def test_marks_stand_at_their_values_on_both_axes():
    svg = drawn()
    assert heights(svg, "al") == pytest.approx([float(f"{FRAME.y(v):.1f}") for v in VALUES])
    places = [float(c.attributes["cx"]) for c in svg.all("circle", class_="al")]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)
    assert heights(svg, "al") == sorted(heights(svg, "al"), reverse=True)


def test_the_band_runs_from_the_low_ends_to_the_high_ends():
    (shape,) = drawn().all("polygon", class_="bd")
    ys = [float(pair.split(",")[1]) for pair in shape.attributes["points"].split()]
    expected = [FRAME.y(v + 0.08) for v in VALUES] + [FRAME.y(v - 0.05) for v in reversed(VALUES)]
    assert ys == pytest.approx(expected, abs=0.06)


def test_the_start_is_a_line_at_its_level_with_its_interval():
    svg = drawn(start=measured(0.5))
    assert float(svg.all("line", class_="st")[0].attributes["y1"]) == pytest.approx(FRAME.y(0.5), abs=0.06)
    band = svg.all("rect", class_="s0")[0].attributes
    assert float(band["y"]) == pytest.approx(FRAME.y(0.58), abs=0.06)
    assert float(band["y"]) + float(band["height"]) == pytest.approx(FRAME.y(0.45), abs=0.11)


def test_first_and_last_value_are_written_and_the_others_wait_to_be_pointed_at():
    texts = {t.text(): t.classes() for t in drawn().all("text", class_="vl")}
    assert set(texts) == {"0.200", "0.400", "0.900"}
    assert [text for text, classes in texts.items() if "hv" in classes] == ["0.400"]


def test_a_placebo_has_whiskers_where_the_main_line_has_a_band():
    svg = drawn(placebos=(series("pb", 0.3, 0.35, 0.4, name="benign-tuned"),))
    whiskers = svg.all("line", class_="pb")
    assert len(whiskers) == 3
    ends = sorted(float(whiskers[0].attributes[end]) for end in ("y1", "y2"))
    assert ends == pytest.approx([FRAME.y(0.38), FRAME.y(0.25)], abs=0.06)


def test_a_curve_writes_the_last_estimate_beside_its_name_and_hollows_what_includes_the_reference():
    frame = Frame(344, 246, (0.0, 4.0), (-0.2, 1.2), right=120, bottom=38, style=STYLES["share"])
    shown = Curve("Recovered", (series("al", 0.02, 0.4, 0.9, name="aligned"),), ticks(), "layer", reference=0.0)
    svg = read(curve(shown, frame))
    assert "aligned 0.90" in [t.text() for t in svg.all("text", class_="dl")]
    assert ["ho" in c.classes() for c in svg.all("circle", class_="al")] == [True, False, False]


def test_falls_begin_at_zero_and_the_bracket_joins_the_last_two_values():
    frame = Frame(500, 232, (0.0, 4.0), (-0.5, 0.1), right=196, style=STYLES["score"])
    main = Series("rv", (Spot(2.0, measured(-0.2)), Spot(4.0, measured(-0.4))), "aligned")
    benign = Series("pb", (Spot(2.0, measured(-0.1)), Spot(4.0, measured(-0.12))), "benign-tuned")
    shown = Falls("Fall in score", main, (benign,), ticks(), measured(-0.28, "contrast:d"))
    svg = read(falls(shown, frame))
    points = svg.all("polyline", class_="rv")[0].attributes["points"].split()
    assert float(points[0].split(",")[1]) == pytest.approx(frame.y(0.0), abs=0.06)
    bracket = svg.all("path", class_="br")[0].attributes["d"]
    assert f" {frame.y(-0.12):.1f}h7V{frame.y(-0.4):.1f}" in bracket
    texts = [t.text() for t in svg.all("text")]
    assert {"difference −0.280", "[−0.330, −0.200]", "aligned: −0.400", "benign-tuned: −0.120"} <= set(texts)


@pytest.mark.parametrize(("hollow", "expected"), [(True, True), (False, False)])
def test_a_row_draws_interval_mark_and_reference(hollow, expected):
    column = Column((-1.0, 1.0), 0.0, style=STYLES["score"])
    svg = read(interval_row(measured(0.5), column, "al", hollow=hollow))
    bar = svg.all("line", class_="wk")[0].attributes
    assert float(bar["x1"]) == pytest.approx(column.x(0.45), abs=0.06)
    assert float(bar["x2"]) == pytest.approx(column.x(0.58), abs=0.06)
    assert float(svg.all("circle")[0].attributes["cx"]) == pytest.approx(column.x(0.5), abs=0.06)
    assert ("ho" in svg.all("circle")[0].classes()) is expected
    assert float(svg.all("line", class_="st")[0].attributes["x1"]) == pytest.approx(column.x(0.0), abs=0.06)

"""How deep the alignment goes: layer swap, prefill, KL by position, each with its reference and placebo inside."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from springback.report.charts.curve import Curve, curve, room
from springback.report.charts.frame import Frame, Series, Tick
from springback.report.charts.scales import domain
from springback.report.evidence import Evidence
from springback.report.numbers import STYLES, bare, count
from springback.report.point import Body
from springback.report.sections.depth_lines import layer_lines, layer_table, lines_of, position_table, prefill_table
from springback.report.sections.words import axis_name, plain
from springback.report.tables import Table
from springback.report.value import Real, finite, value

WIDTH, HEIGHT = 344.0, 246.0


@dataclass(frozen=True, slots=True)
class Card:
    """One of three equal charts, or the reason why it is not there."""

    title: str
    explained: str
    chart: Markup | None
    note: str
    data: Table | None
    second: Markup | None = None
    """A smaller chart below, of the same records."""


@dataclass(frozen=True, slots=True)
class View:
    heading: str
    cards: tuple[Card, ...]


def view(evidence: Evidence) -> View:
    return View(heading(evidence), (layer(evidence), prefill(evidence), position(evidence)))


def heading(evidence: Evidence) -> str:
    """Both depth axes in their own words."""
    axes = evidence.kind("axis")
    found = [f"{axis_name(k)}: {plain(axes[k].get('verdict'))}" for k in ("token", "layer") if k in axes]
    if found:
        return "; ".join([found[0], *(f[0].lower() + f[1:] for f in found[1:])])
    read = any(evidence.kind(kind) for kind in ("layer", "prefill", "position"))
    return "Depth: no verdict yet" if read else "Depth: not measured"


def why(evidence: Evidence, axis: str) -> str:
    """The stored reason for a missing reading."""
    body = evidence.kind("axis").get(axis, {})
    number = value(body.get("value"), "", why="")
    return number.why or str(body.get("sentence") or "the stored run holds no such record")


def layer(evidence: Evidence) -> Card:
    title, found = "Layer swap", evidence.kind("layer")
    if not found:
        return _absent(title, "share of the change in margin", why(evidence, "layer"))
    lines = layer_lines(found)
    depth = max((int(finite(b.get("layers")) or 0) for b in found.values()), default=0)
    values = [v for series in lines for spot in series.spots for v in (spot.value.estimate,) if v is not None]
    up = domain([max(-1.5, min(2.5, v)) for v in values], include=[-0.25, 1.25])
    ticks = _some([Tick(s.x, (count(s.x),)) for s in (lines[-1].spots if lines else ())])
    axis = f"layer whose output is the other model’s (of {depth})"
    shown = Curve("Share of the change in margin that is recovered, by layer", lines, ticks, axis, reference=0.0,
                  threshold=(0.5, "half"), crossing=_half(evidence), values=False)  # fmt: skip
    chart = curve(shown, _frame(lines, up, "share", values=False))
    return Card(
        title,
        _counted("share of the change in margin recovered", lines),
        chart,
        _layer_note(evidence, lines),
        layer_table(found),
    )


def prefill(evidence: Evidence) -> Card:
    title, found = "Prefill", evidence.kind("prefill")
    if not found:
        return _absent(title, "score of what follows k forced opposite tokens", why(evidence, "token"))
    lines = lines_of(evidence, found, "model", "forced_tokens", lambda b: b.get("score"))
    ends = [end for s in lines for p in s.spots for end in (p.value.low, p.value.high, p.value.estimate)]
    ticks = _ticks(lines)
    shown = Curve(
        "Score after k forced tokens of the opposite answer", lines, ticks, "forced tokens k of an opposite answer"
    )
    chart = curve(shown, _frame(lines, domain(ends), "score"))
    note = "A shallow alignment meets the start’s own curve after a few forced tokens." + _without(
        lines, "pb", "benign-tuned"
    )
    return Card(
        title,
        _counted("score of what follows k forced opposite tokens", lines),
        chart,
        note,
        prefill_table(evidence, found),
    )


def position(evidence: Evidence) -> Card:
    title, found = "KL by position", evidence.kind("position")
    if not found:
        return _absent(title, "bit/token at each place of the answer", why(evidence, "token"))
    own = any(_known(b.get("kl_to_start")) for b in found.values())
    field = "kl_to_start" if own else "kl_from_start"
    lines = tuple(s for s in lines_of(evidence, found, "cell", "position", lambda b: b.get(field)) if s.role != "s0")
    if not lines:
        return _absent(title, "bit/token at each place of the answer", "only the start was read, and its KL is 0")
    ends = [v for s in lines for p in s.spots for v in (p.value.estimate, p.value.high)]
    which = "KL(model‖start) along the model’s own answers" if own else "KL(start‖model) along the start’s answers"
    shown = Curve(
        f"{which}, by answer position", lines, _ticks(lines), "answer position (first answer token = 1)", values=False
    )
    chart = curve(shown, _frame(lines, domain(ends, include=[0.0]), "kl", values=False))
    note = "Any tuning has such a profile: read the aligned line against the benign-tuned one."
    note += _without(lines, "pb", "benign-tuned")
    return Card(
        title, f"bit/token, {which}", chart, note, position_table(evidence, found), _first_choice(evidence, found)
    )


def _first_choice(evidence: Evidence, found: Mapping[str, Body]) -> Markup | None:
    """Share of answers whose likeliest next token, at each position, is also the start's likeliest."""
    lines = lines_of(evidence, found, "cell", "position", lambda b: (b.get("shift") or {}).get("1"))
    lines = tuple(s for s in lines if s.role != "s0" and any(spot.value.known for spot in s.spots))
    if not lines:
        return None
    words = "share of answers with the start’s first choice"
    shown = Curve(words.capitalize(), lines, _ticks(lines), "answer position", values=False)
    frame = replace(_frame(lines, (0.0, 1.05), "share", values=False), height=150)
    return curve(shown, frame)


def _half(evidence: Evidence) -> tuple[Real, Real, str] | None:
    """Between which layers half is crossed, as the layer axis says."""
    read = value(evidence.kind("axis").get("layer", {}).get("value"), "axis:layer")
    if read.unit != "layer" or read.low is None or read.high is None:
        return None
    ends = bare(read.low, STYLES["layer"]), bare(read.high, STYLES["layer"])
    return read.low, read.high, f"half is crossed: {ends[0]} to {ends[1]}"


def _absent(title: str, explained: str, reason: str) -> Card:
    return Card(title, explained, None, f"Not measured: {reason}", None)


def _without(lines: tuple[Series, ...], role: str, name: str) -> str:
    return "" if any(s.role == role for s in lines) else f" Placebo ({name} model): not measured."


def _known(body: Any) -> bool:
    return value(body, "").known


def _layer_note(evidence: Evidence, lines: tuple[Series, ...]) -> str:
    words = ["The other model’s residual stream is put in after one layer. Hollow: the interval includes 0."]
    if any(s.role == "pb" for s in lines):
        words.append("Grey: a random direction of equal norm.")
    if not any(s.role == "pb" for s in lines):
        words.append("Placebo (norm-matched random direction): not measured.")
    gone = next((p.value.why for s in lines for p in s.spots if not p.value.known), "")
    return " ".join(words + ([f"Not reportable: {gone}."] if gone else []))


def _frame(lines: tuple[Series, ...], up: tuple[Real, Real], style: str, *, values: bool = True) -> Frame:
    places = [spot.x for series in lines for spot in series.spots]
    right = room([s.name + (" 0.000" if values else "") for s in lines])
    across = (min(places, default=0.0), max(places, default=1.0))
    return Frame(WIDTH, HEIGHT, across, up, left=36, right=right, top=12, bottom=38, style=STYLES[style])


def _ticks(lines: tuple[Series, ...]) -> tuple[Tick, ...]:
    return _some([Tick(x, (count(x),)) for x in sorted({spot.x for s in lines for spot in s.spots})])


def _some(ticks: list[Tick], most: int = 12) -> tuple[Tick, ...]:
    """Not more ticks than have room; the first and the last stay."""
    step = max(1, -(-len(ticks) // most))
    return tuple(t for i, t in enumerate(ticks) if i % step == 0 or i == len(ticks) - 1)


def _counted(words: str, lines: tuple[Series, ...]) -> str:
    known = next((p.value for s in reversed(lines) for p in s.spots if p.value.known and p.value.n), None)
    return f"{words}, {known.n} {known.over}" if known else words

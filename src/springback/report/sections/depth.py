"""How deep the alignment goes: layer swap, prefill, KL by position, each with its reference and placebo inside."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from springback.report.charts.curve import Curve, curve, room
from springback.report.charts.frame import Frame, Series, Spot, Tick
from springback.report.charts.scales import domain
from springback.report.evidence import Body, Evidence
from springback.report.numbers import STYLES, bare, count
from springback.report.sections import samples
from springback.report.sections.words import axis_name, name_of, plain, short_name
from springback.report.tables import Table, columns, table, three
from springback.report.value import Value, finite, value

WIDTH, HEIGHT = 344.0, 246.0
DIRECTIONS: Final = {
    "start_into_aligned": ("into aligned", "al"),
    "aligned_into_start": ("into start", "s0"),
}


@dataclass(frozen=True, slots=True)
class Card:
    """One of three equal charts, or the reason why it is not there."""

    title: str
    explained: str
    chart: Markup | None
    note: str
    data: Table | None


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
    return "; ".join([found[0], *(f[0].lower() + f[1:] for f in found[1:])]) if found else "Depth: not measured"


def why(evidence: Evidence, axis: str) -> str:
    """The stored reason for a missing reading."""
    body = evidence.kind("axis").get(axis, {})
    number = value(body.get("value"), "", why="")
    return number.why or str(body.get("sentence") or "the stored run holds no such record")


def layer(evidence: Evidence) -> Card:
    title, found = "Layer swap", evidence.kind("layer")
    if not found:
        return _absent(title, "share of the change in margin", why(evidence, "layer"))
    lines = _layer_lines(found)
    depth = max((int(finite(b.get("layers")) or 0) for b in found.values()), default=0)
    values = [v for series in lines for spot in series.spots for v in (spot.value.estimate,) if v is not None]
    up = domain([max(-1.5, min(2.5, v)) for v in values], include=[-0.25, 1.25])
    ticks = _some([Tick(s.x, (count(s.x),)) for s in (lines[-1].spots if lines else ())])
    axis = f"layer whose output is the other model’s (of {depth})"
    shown = Curve("Share of the change in margin that is recovered, by layer", lines, ticks, axis, reference=0.0,
                  threshold=(0.5, "half"), crossing=_half(evidence), values=False)  # fmt: skip
    chart = curve(shown, _frame(lines, up, "share", values=False))
    return Card(title, _counted("share of the change in margin recovered", lines), chart, _layer_note(evidence, lines), _layers(found))


def prefill(evidence: Evidence) -> Card:
    title, found = "Prefill", evidence.kind("prefill")
    if not found:
        return _absent(title, "score of what follows k forced opposite tokens", why(evidence, "token"))
    lines = _lines(evidence, found, "model", "forced_tokens", lambda b: b.get("score"))
    ends = [end for s in lines for p in s.spots for end in (p.value.low, p.value.high, p.value.estimate)]
    ticks = _ticks(lines)
    shown = Curve("Score after k forced tokens of the opposite answer", lines, ticks, "forced tokens k of an opposite answer")
    chart = curve(shown, _frame(lines, domain(ends), "score"))
    note = "A shallow alignment meets the start’s own curve after a few forced tokens." + _without(lines, "pb", "benign-tuned")
    return Card(title, _counted("score of what follows k forced opposite tokens", lines), chart, note, _prefills(evidence, found))


def position(evidence: Evidence) -> Card:
    title, found = "KL by position", evidence.kind("position")
    if not found:
        return _absent(title, "bit/token at each place of the answer", why(evidence, "token"))
    own = any(_known(b.get("kl_to_start")) for b in found.values())
    field = "kl_to_start" if own else "kl_from_start"
    lines = tuple(s for s in _lines(evidence, found, "cell", "position", lambda b: b.get(field)) if s.role != "s0")
    ends = [v for s in lines for p in s.spots for v in (p.value.estimate, p.value.high)]
    which = "KL(model‖start) along the model’s own answers" if own else "KL(start‖model) along the start’s answers"
    shown = Curve(f"{which}, by answer position", lines, _ticks(lines), "answer position (first answer token = 1)", values=False)
    chart = curve(shown, _frame(lines, domain(ends, include=[0.0]), "kl", values=False))
    note = "Any tuning has such a profile: read the aligned line against the benign-tuned one."
    note += _without(lines, "pb", "benign-tuned")
    return Card(title, f"bit/token, {which}", chart, note, _positions(evidence, found))


def _half(evidence: Evidence) -> tuple[float, float, str] | None:
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


def _layer_lines(found: Mapping[str, Body]) -> tuple[Series, ...]:
    """Placebo first, then the other direction, the main one last and on top."""
    lines = []
    for direction, (name, role) in reversed(DIRECTIONS.items()):
        bodies = sorted(((k, b) for k, b in found.items() if b.get("direction") == direction), key=lambda kb: kb[1].get("layer", 0))
        spots = tuple(Spot(b.get("layer", 0), value(b.get("recovered"), f"layer:{k}", unit="share")) for k, b in bodies)
        if direction == "start_into_aligned" and bodies:
            placebo = tuple(Spot(b.get("layer", 0), value(b.get("placebo"), f"layer:{k}", unit="share")) for k, b in bodies)
            if any(spot.value.known for spot in placebo):
                lines.append(Series("pb", placebo, "random"))
        if spots:
            lines.append(Series(role, spots, name, thin=role == "s0"))
    return tuple(lines)


def _layer_note(evidence: Evidence, lines: tuple[Series, ...]) -> str:
    words = ["The other model’s residual stream is put in after one layer. Hollow: the interval includes 0."]
    if any(s.role == "pb" for s in lines):
        words.append("Grey: a random direction of equal norm.")
    if not any(s.role == "pb" for s in lines):
        words.append("Placebo (norm-matched random direction): not measured.")
    gone = next((p.value.why for s in lines for p in s.spots if not p.value.known), "")
    return " ".join(words + ([f"Not reportable: {gone}."] if gone else []))


def _lines(
    evidence: Evidence, found: Mapping[str, Body], key: str, place: str, read: Callable[[Body], Any]
) -> tuple[Series, ...]:
    """One line for each model of the first seed that the depth panel is about; the main ones last, so on top."""
    models: dict[str, list[tuple[float, Value]]] = {}
    shown = {p.id for p in samples.columns(evidence)}
    kind = "prefill" if key == "model" else "position"
    for name, body in found.items():
        if shown and body.get(key) not in shown:
            continue
        number = value(read(body), f"{kind}:{name}", unit="probability" if kind == "prefill" else "bit/token")
        models.setdefault(str(body.get(key)), []).append((finite(body.get(place)) or 0.0, number))
    lines = []
    for model, spots in models.items():
        name, role = short_name(evidence, model)
        ordered = tuple(Spot(x, v) for x, v in sorted(spots, key=lambda s: s[0]))
        lines.append(Series(role, ordered, name))
    rank = {"pb": 0, "pc": 0, "pz": 0, "s0": 1, "rv": 2, "al": 3}
    return tuple(sorted(lines, key=lambda s: (rank.get(s.role, 0), s.name)))


def _frame(lines: tuple[Series, ...], up: tuple[float, float], style: str, *, values: bool = True) -> Frame:
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


def _layers(found: Mapping[str, Body]) -> Table:
    heads = ("direction", "layer", *columns("recovered"), *columns("placebo"), "record")
    rows = [
        (str(b.get("direction")), finite(b.get("layer")), *three(value(b.get("recovered"), "")), *three(value(b.get("placebo"), "")), f"layer:{k}")
        for k, b in found.items()
    ]
    return table("layer", "Layer swap", heads, rows)


def _prefills(evidence: Evidence, found: Mapping[str, Body]) -> Table:
    heads = ("model", "forced_tokens", *columns("score"), "record")
    rows = [
        (name_of(evidence, b.get("model"))[0], finite(b.get("forced_tokens")), *three(value(b.get("score"), "")), f"prefill:{k}")
        for k, b in found.items()
    ]
    return table("prefill", "Prefill", heads, rows)


def _positions(evidence: Evidence, found: Mapping[str, Body]) -> Table:
    shift = ("1", "2_3", "over_3")
    heads = ("model", "position", "n", "kl_from_start", "kl_to_start", *(f"rank_{name}" for name in shift), "record")
    rows = [
        (name_of(evidence, b.get("cell"))[0], finite(b.get("position")), finite(b.get("n")), value(b.get("kl_from_start"), "").estimate,
         value(b.get("kl_to_start"), "").estimate, *(value((b.get("shift") or {}).get(s), "").estimate for s in shift), f"position:{k}")
        for k, b in found.items()
    ]  # fmt: skip
    return table("position", "KL by position", heads, rows)

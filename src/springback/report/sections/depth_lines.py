"""The lines of the depth charts, and the tables behind them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from springback.report.charts.frame import Series, Spot
from springback.report.evidence import Evidence
from springback.report.point import Body
from springback.report.sections import samples
from springback.report.sections.words import name_of, short_name
from springback.report.tables import Cell, Table, columns, table, three
from springback.report.value import Real, Value, finite, value

SHIFTS: Final = ("1", "2_3", "over_3")
"""Rank, under the start, of the token that the model ranks first."""
DIRECTIONS: Final = {
    "start_into_aligned": ("into aligned", "al"),
    "aligned_into_start": ("into start", "s0"),
}


def layer_lines(found: Mapping[str, Body]) -> tuple[Series, ...]:
    """Placebo first, then the other direction, the main one last and on top."""
    lines = []
    for direction, (name, role) in reversed(DIRECTIONS.items()):
        bodies = sorted(
            ((k, b) for k, b in found.items() if b.get("direction") == direction), key=lambda kb: kb[1].get("layer", 0)
        )
        spots = tuple(Spot(b.get("layer", 0), value(b.get("recovered"), f"layer:{k}", unit="share")) for k, b in bodies)
        if direction == "start_into_aligned" and bodies:
            placebo = tuple(
                Spot(b.get("layer", 0), value(b.get("placebo"), f"layer:{k}", unit="share")) for k, b in bodies
            )
            if any(spot.value.known for spot in placebo):
                lines.append(Series("pb", placebo, "random"))
        if spots:
            lines.append(Series(role, spots, name, thin=role == "s0"))
    return tuple(lines)


def lines_of(
    evidence: Evidence, found: Mapping[str, Body], key: str, place: str, read: Callable[[Body], Any]
) -> tuple[Series, ...]:
    """One line for each model of the first seed that the depth panel is about; the main ones last, so on top."""
    models: dict[str, list[tuple[Real, Value]]] = {}
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


def layer_table(found: Mapping[str, Body]) -> Table:
    heads = ("direction", "layer", *columns("recovered"), *columns("placebo"), "record")
    rows = [
        (
            str(b.get("direction")),
            finite(b.get("layer")),
            *three(value(b.get("recovered"), "")),
            *three(value(b.get("placebo"), "")),
            f"layer:{k}",
        )
        for k, b in found.items()
    ]
    return table("layer", "Layer swap", heads, rows)


def prefill_table(evidence: Evidence, found: Mapping[str, Body]) -> Table:
    heads = ("model", "forced_tokens", *columns("score"), "record")
    rows = [
        (
            name_of(evidence, b.get("model"))[0],
            finite(b.get("forced_tokens")),
            *three(value(b.get("score"), "")),
            f"prefill:{k}",
        )
        for k, b in found.items()
    ]
    return table("prefill", "Prefill", heads, rows)


def position_table(evidence: Evidence, found: Mapping[str, Body]) -> Table:
    heads = ("model", "position", "n", "kl_from_start", "kl_to_start", *(f"rank_{name}" for name in SHIFTS), "record")
    rows = [_position_row(evidence, k, b) for k, b in found.items()]
    return table("position", "KL by position", heads, rows)


def _position_row(evidence: Evidence, key: str, body: Body) -> tuple[Cell, ...]:
    kl = (value(body.get(name), "").estimate for name in ("kl_from_start", "kl_to_start"))
    shift = (value((body.get("shift") or {}).get(name), "").estimate for name in SHIFTS)
    head = name_of(evidence, body.get("cell"))[0], finite(body.get("position")), finite(body.get("n"))
    return (*head, *kl, *shift, f"position:{key}")

"""The page of a resist run: the two directions of every pair with the base beside them, the tests, the targets."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.evidence import Records
from springback.report.markup import num
from springback.report.pages.sheet import Chart, Grid, Section, Sheet
from springback.report.point import Body
from springback.report.tables import Table, table, three
from springback.report.value import value

DIRECTIONS = (
    ("placebo_forward", "pb", "base onto later"), ("placebo_inverse", "pz", "base onto earlier"),
    ("forward", "al", "forward"), ("inverse", "rv", "inverse"),
)  # fmt: skip
LABELS = {"resists": "resists", "does_not": "does not resist", "inconclusive": "inconclusive"}


def sheet(records: Records, meta: Mapping[str, Any]) -> Sheet:
    """From records `verdict`, `test`, `pair`, `cell`, `reading` and `target`."""
    verdict = (records.get("verdict") or {}).get("verdict", {})
    model = meta.get("model") or {}
    return Sheet(
        subject=str(model.get("name", "a model")),
        answer=str(verdict.get("sentence", "Not finished.")).partition(" (")[0].rstrip(".") + ".",
        lead=_lead(records),
        label=LABELS.get(str(verdict.get("label")), ""),
        record="verdict:verdict",
        sections=(_curves(records), _pairs(records), _tests(records), _targets(records)),
        kinds=("verdict", "test", "pair", "cell", "target", "reading"),
    )


def _lead(records: Records) -> str:
    pairs = (records.get("pair") or {}).values()
    seeds = len({pair["seed"] for pair in pairs})
    telling = sum(bool(pair["telling"]) for pair in pairs)
    return f"{telling} of {len(pairs)} pairs can tell, on {seeds} seed{'s' * (seeds != 1)}."


def _curves(records: Records) -> Section:
    found = list((records.get("pair") or {}).values())
    first = [pair for pair in found if pair["seed"] == found[0]["seed"]]
    note = "The first seed is drawn; the table holds all." if len(first) < len(found) else ""
    prose = (
        "Each model is tuned onto what another one wrote. KL from the target to the model along held-out answers of "
        "the target: 0 where it is reached, whatever the entropy of its text.",
    )
    charts = tuple(_chart(pair, records) for pair in first)
    return Section("Towards the target", prose=prose, charts=charts, data=_readings(records), note=note)


def _chart(pair: Body, records: Records) -> Chart:
    name = f"models {pair['earlier']} and {pair['later']}"
    series = tuple(Series(role, _spots(pair[way]["id"], records), shown) for way, role, shown in DIRECTIONS)
    axes = Axis("optimiser steps"), Axis("KL from the target, bit/token", include=(0.0,))
    caption = f"Forward is model {pair['earlier']} onto what {pair['later']} wrote, inverse the other way round."
    return Chart(lines(Lines(f"KL from the target, {name}", series, *axes)), caption, "Bands: 95 % over prompts.")


def _spots(cell: str, records: Records) -> tuple[Spot, ...]:
    readings = records.get("reading") or {}
    return tuple(
        Spot(body["step"], value(body["kl_from_target"], f"reading:{key}"))
        for key, body in readings.items()
        if body["cell"] == cell
    )


def _readings(records: Records) -> Table:
    heads = ("training", "step", "kl_from_target", "low", "high", "kl_from_base", "low", "high", "record")
    return table("readings", "KL along every training, bit/token", heads, (
        (body["cell"], body["step"], *three(value(body["kl_from_target"], key)),
         *three(value(body["kl_from_base"], key)), f"reading:{key}")
        for key, body in (records.get("reading") or {}).items()
    ))  # fmt: skip


def _pairs(records: Records) -> Section:
    found = list((records.get("pair") or {}).items())
    heads = ("seed, pair", "left, forward", "left, inverse", "inverse easier", "beyond placebo", "can tell",
             "paper’s, forward", "paper’s, inverse")  # fmt: skip
    prose = (
        "Left: the mean excess over the steps as a share of the first one, so 1 is no progress. Inverse easier: "
        "forward less inverse. Beyond placebo: less the same difference for the base, which stands at neither model.",
        "The paper’s number is the mean of all training losses in nat/token. It is not held out, and the entropy of "
        "the target’s text is in it.",
    )
    return Section("Forward and inverse", prose=prose, grid=Grid("By pair", heads, tuple(map(_row, found))))


def _row(found: tuple[str, Body]) -> tuple[Markup | str, ...]:
    key, pair = found
    record = f"pair:{key}"
    ways = [pair["forward"], pair["inverse"]]
    left = [num(value(way["left"], record), unit=False) for way in ways]
    tests = [num(value(pair[name], record), sign=True, unit=False) for name in ("inverse_easier", "beyond_placebo")]
    paper = [num(value(way["paper_statistic"], record), unit=False) for way in ways]
    name = f"{pair['seed']}, {pair['earlier']}–{pair['later']}"
    return name, *left, *tests, "yes" if pair["telling"] else "no", *paper


def _tests(records: Records) -> Section:
    names = {"inverse_easier": "the inverse is easier", "beyond_placebo": "… beyond what the texts explain"}
    rows = tuple(
        (names.get(key, key), num(value(body["statistic"], f"test:{key}"), sign=True, unit=False), str(body["outcome"]))
        for key, body in (records.get("test") or {}).items()
    )
    prose = (
        "Both tests were stated before anything was measured. One holds where its interval lies above 0, and fails "
        "where it lies below the margin. Both must hold for “resists”; one that fails is enough for “does not”.",
    )
    return Section(
        "The stated tests", prose=prose, grid=Grid("Mean over the pairs", ("test", "share", "outcome"), rows)
    )


def _targets(records: Records) -> Section:
    rows: Sequence[tuple[str | Markup, ...]] = tuple(
        (f"seed {body['seed']}, {'base' if body['slices'] == 0 else body['slices']}",
         num(value(body["own_entropy"], f"target:{key}")), str(body["state"]["name"]))
        for key, body in (records.get("target") or {}).items()
    )  # fmt: skip
    prose = ("The floor under every training loss: a model’s entropy on what it writes itself.",)
    return Section(
        "The targets", prose=prose, grid=Grid("By model", ("model", "own entropy", "it writes"), tuple(rows))
    )

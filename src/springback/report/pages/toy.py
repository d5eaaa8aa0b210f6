"""The page of a toy run: what survived, the way back, the rates under reversal, and the figures by alignment size."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.evidence import Records
from springback.report.markup import pointed
from springback.report.numbers import short
from springback.report.pages.sheet import Chart, Grid, Section, Sheet
from springback.report.point import Body
from springback.report.tables import Cell, Table, columns, table, three
from springback.report.value import Value, value

ARMS = (("from_base", "pz", "base"), ("placebo", "pb", "placebo"), ("main", "al", "aligned"))
SIDES = (("pretraining", "D_p"), ("aligned", "D_a"))
RATES = ("pretraining", "aligned", "reversed")
SURVIVES = {"yes": "survives", "no": "does not", "undecided": "undecided"}


def sheet(records: Records, meta: Mapping[str, Any]) -> Sheet:
    """From records `prediction`, `point`, `return` and `verdict`."""
    verdict = (records.get("verdict") or {}).get("verdict", {})
    asked = meta.get("asked") or {}
    return Sheet(
        subject=f"{2 ** int(asked.get('length') or 0):,} strings, a transformer of width {asked.get('width')}",
        answer=str(verdict.get("sentence") or "The run is not complete."),
        lead=_lead(verdict, asked),
        label=str(verdict.get("label") or "").replace("_", " "),
        record="verdict:verdict" if verdict else "",
        sections=(_predictions(records), _way_back(records, asked), _rates(records, asked), _sizes(records)),
        kinds=("verdict", "prediction", "return", "source", "point", "cell"),
    )


def _lead(verdict: Body, asked: Body) -> str:
    counts = verdict.get("survives") or {}
    return (
        f"Of the stated predictions {counts.get('yes', 0)} survive gradient training, {counts.get('no', 0)} do not "
        f"and {counts.get('undecided', 0)} are undecided, those not asked for among them. Every string is scored "
        f"exactly at every point; intervals are over {len(asked.get('seeds') or ())} seeds, each with sources and "
        "weights of its own."
    )


def _predictions(records: Records) -> Section:
    found = records.get("prediction") or {}
    heads = ("prediction", "statistic and where it must lie", "measured", "mixture", "outcome")
    rows = [row for key, body in found.items() for row in _prediction(f"prediction:{key}", body)]
    prose = (
        "Statistics and rules stood in run.json before anything was trained. A prediction survives where the interval "
        "over seeds lies inside the rule, fails where it lies outside, and is undecided otherwise. The count mixture "
        "is theorem 4.2 in exact arithmetic at the same sizes.",
    )
    names = ("prediction", "statistic", *columns("measured"), *columns("theory"), "rule", "outcome", "record")
    data = table("predictions", "Predictions", names, [_plain(key, b, part) for key, b in found.items()
                                                         for part in b["parts"]])  # fmt: skip
    return Section("Which predictions survive", prose=prose, grid=Grid("Predictions", heads, tuple(rows)), data=data)


def _prediction(record: str, body: Body) -> list[tuple[str | Markup, ...]]:
    outcome = pointed(SURVIVES[body["survives"]], record)
    if body["why"]:
        return [(body["statement"], f"Not tested: {body['why']}.", "", "", outcome)]
    rows = []
    for index, part in enumerate(body["parts"]):
        head, end = (body["statement"], outcome) if index == 0 else ("", "")
        unit = "" if part["statistic"].get("unit") in (None, "1", "share") else f", {part['statistic']['unit']}"
        measured, theory = (value(part[name], record) for name in ("statistic", "theory"))
        rows.append((head, f"{part['what']}{unit}; {part['rule']}", _shown(measured), _alone(theory), end))
    return rows


def _plain(key: str, body: Body, part: Body) -> tuple[Any, ...]:
    record = f"prediction:{key}"
    numbers = (*three(value(part["statistic"], record)), *three(value(part["theory"], record)))
    return (key, part["what"], *numbers, part["rule"], body["survives"], record)


def _shown(found: Value) -> Markup:
    """Estimate and interval, at three digits."""
    if found.estimate is None:
        return Markup('<b class="nrt" data-record="{}">not reportable</b>').format(found.record)
    interval = "" if found.low is None or found.high is None else f" [{short(found.low)}, {short(found.high)}]"
    return pointed(f"{short(found.estimate)}{interval}", found.record, stored=found.estimate)


def _alone(found: Value) -> Markup:
    """The estimate without its interval: seeds differ by their masses only."""
    return _shown(Value(found.estimate, record=found.record, why=found.why))


Points = list[tuple[str, Body]]


def _points(records: Records, asked: Body, arm: str, aligned: int) -> Points:
    """The reversal from one start in the reference world, the start itself first."""
    pretrain, mix = list(asked["pretrain"])[-1], next(iter(asked["mix"]))
    rows = [(f"point:{key}", body) for key, body in (records.get("point") or {}).items()]
    return [
        (record, body) for record, body in rows
        if body["arm"] == arm and body["align"]["examples"] == aligned and body["mix"] == mix
        and body["pretrain"]["examples"] == pretrain
    ]  # fmt: skip


def _spots(points: Points, name: str, side: str = "", *, alone: bool = False) -> tuple[Spot, ...]:
    """Values by reversal size; the start stands at half of the first size, for a logarithmic axis has no 0."""
    sizes = [body["reverse"]["examples"] for _, body in points if body["reverse"]["examples"]]
    spots = []
    for record, body in points:
        found = value(body[name][side]["excess"] if side else body[name], record)
        held = Value(found.estimate, record=record, unit=found.unit) if alone else found
        n = body["reverse"]["examples"]
        spots.append(Spot(n or min(sizes) / 2, held, hollow=not n))
    return tuple(spots)


def _way_back(records: Records, asked: Body) -> Section:
    sizes = list(asked["align_sizes"])
    series = tuple(
        Series("rv", _spots(points, "kl_from_start", alone=size != sizes[-1]), f"N_a = {size:,}")
        for size in sizes if (points := _points(records, asked, "main", size))
    )  # fmt: skip
    if not series:
        return Section("The way back", note="No point is stored.")
    axes = Axis("reversal strings n", log=True), Axis("KL(base‖θ), bit per string", include=(0.0,))
    picture = lines(Lines("Distance from the base under reversal", series, *axes, level=asked["tolerance"]))
    fine = "Hollow: before any reversal. Band: the largest alignment, 95 % over seeds. Horizontal: the tolerance."
    chart = Chart(picture, "Distance from the base under reversal, by alignment size.", fine)
    prose = ("A model springs back as far as its line falls, and to the base only where it reaches the tolerance.",)
    return Section("The way back", prose=prose, charts=(chart,), data=_all(records))


def _rates(records: Records, asked: Body) -> Section:
    most = list(asked["align_sizes"])[-1]
    charts = tuple(_rate(records, asked, side, name, most) for side, name in SIDES)
    prose = (
        "The rebound is the fall of the pretraining rate after alignment that neither the base nor a placebo alignment "
        "of equal size shows under the same reversal.",
    )
    return Section("The rates under reversal", prose=prose, charts=tuple(chart for chart in charts if chart))


def _rate(records: Records, asked: Body, side: str, name: str, most: int) -> Chart | None:
    series = tuple(
        Series(role, _spots(points, "gamma", side), words)
        for arm, role, words in ARMS if (points := _points(records, asked, arm, 0 if arm == "from_base" else most))
    )  # fmt: skip
    if not series:
        return None
    axes = Axis("reversal strings n", log=True), Axis(f"γ of {name} above its floor, bit per symbol")
    picture = lines(Lines(f"Rate of {name} under reversal", series, *axes))
    return Chart(
        picture,
        f"γ of {name} after N_a = {most:,}.",
        "Above the entropy of the source; lower is better compressed. Bands: 95 % over seeds.",
    )


def _all(records: Records) -> Table:
    names = ("kl_from_start", "kl_to_start", "gamma_p", "gamma_a", "gamma_t")
    numbers = [column for name in names for column in columns(name)]
    heads = ("arm", "pretrain", "mix", "aligned", "reversed", "steps", *numbers, "record")
    rows = [_row(f"point:{key}", body) for key, body in (records.get("point") or {}).items()]
    return table("points", "Every point over seeds", heads, rows)


def _row(record: str, body: Body) -> tuple[Cell, ...]:
    found = (body["kl_from_start"], body["kl_to_start"], *(body["gamma"][side]["rate"] for side in RATES))
    sizes = (body["align"]["examples"], body["reverse"]["examples"], body["reverse"]["steps"])
    numbers = [cell for number in found for cell in three(value(number, record))]
    return (body["arm"], body["pretrain"]["examples"], body["mix"], *sizes, *numbers, record)


def _sizes(records: Records) -> Section:
    heads = (
        "N_a",
        "closest KL(base‖θ)",
        "at n",
        "mixture at n",
        "undone",
        "overshoot",
        "R = −Δγ_a/Δγ_p",
        "mixture R",
        "k",
    )
    rows = tuple(_size(f"return:{key}", body) for key, body in (records.get("return") or {}).items())
    prose = (
        "R = −Δγ_a/Δγ_p is what the alignment data loses for each part that the pretraining data gains; the theorem "
        "puts it at k. It is read within a quarter of the alignment, and not reportable where the change of the "
        "pretraining rate is not clear of 0.",
    )
    return Section("By alignment size", prose=prose, grid=Grid("Return and stiffness", heads, rows))


def _size(record: str, body: Body) -> tuple[str | Markup, ...]:
    back, stiff = body["closest_return"], body["stiffness"]
    measured = [_shown(value(found, record)) for found in (back["kl"], back["examples"], body["undone"])]
    more = [_shown(value(found, record)) for found in (body["overshoot"], stiff["R"])]
    theory = [_alone(value(found, record)) for found in (back["theory"]["examples"], stiff["theory"], stiff["k"])]
    return (f"{body['aligned']:,}", *measured[:2], theory[0], measured[2], *more, *theory[1:])

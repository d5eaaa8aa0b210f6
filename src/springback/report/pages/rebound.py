"""The page of a rebound run: figures 4 to 6 of Ji et al. for one's own models, return, stiffness, what axes change."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.evidence import Records
from springback.report.markup import num, pointed
from springback.report.numbers import short
from springback.report.pages.sheet import Chart, Grid, Section, Sheet
from springback.report.point import Body
from springback.report.tables import columns, table, three
from springback.report.value import Value, finite, value

READINGS = {
    "score": ("Score, probability of wanted", ("behaviour", "score")),
    "margin": ("Margin, bit/bit", ("behaviour", "margin")),
    "kl": ("KL(start‖θ), bit/token", ("kl_from_start",)),
    "gamma": ("γ of the wanted text, bit/bit", ("gamma", "aligned", "micro")),
}
ARMS = {"main": "aligned", "benign": "benign-tuned", "from_start": "start", "continuation": "benign reversal"}
MOST = 6
"""Lines in one picture; the table has them all."""


def sheet(records: Records, meta: Mapping[str, Any]) -> Sheet:
    """From records `verdict`, `sweep`, `cell` and one of every reading of elasticity for each sweep."""
    found = dict(records.get("verdict", {}).get("verdict") or {})
    names = list(records.get("sweep", {}))
    sections = [
        _curves(records, names[0]),
        *([_sweeps(records, names)] if len(names) > 1 else []),
        _return(records, names),
        _stiffness(records, names),
        *([_axes(records)] if records.get("comparison") else []),
        *([_scale(records)] if records.get("scaling") else []),
        _agreement(records, names),
        _places(records, names),
    ]
    return Sheet(
        subject=str((meta.get("model") or {}).get("name") or "models"),
        answer=str(found.get("headline") or "No verdict"),
        lead=str(found.get("sentence") or ""),
        label=str(found.get("label") or ""),
        record="verdict:verdict",
        sections=tuple(sections),
        kinds=("verdict", "sweep", "closest_return", "stiffness", "interference", "price", "overshoot", "comparison",
               "scaling", "agreement", "scorer", "data", "cell"),
    )  # fmt: skip


def _curves(records: Records, name: str) -> Section:
    """Figure 4: every reading against reversed examples, one line for each N and each placebo."""
    cells = [body for body in records.get("cell", {}).values() if body["sweep"] == name and body["arm"] in ARMS]
    charts = tuple(_chart(cells, reading) for reading in READINGS)
    heads = (
        "sweep",
        "cell",
        "arm",
        "N",
        "n",
        "steps",
        *(end for reading in READINGS for end in columns(reading)),
        "record",
    )
    rows = ((b["sweep"], b["id"], b["arm"], b["align"]["examples"], b["reverse"]["examples"], b["reverse"]["steps"],
             *(end for reading in READINGS for end in three(_read(b, reading))), _record(b))
            for b in records.get("cell", {}).values())  # fmt: skip
    prose = (
        "Every line begins at a model that was tuned on N examples and then meets n reversing ones; the level line is "
        "the start. Only what happens to the aligned lines beyond the benign-tuned ones is due to the alignment.",
    )
    return Section("Rebound", prose=prose, charts=charts, data=table("rebound", "All cells", heads, rows))


def _chart(cells: Sequence[Body], reading: str) -> Chart:
    title, _ = READINGS[reading]
    seed = min((int(body["seed"]) for body in cells), default=0)
    own = [body for body in cells if body["seed"] == seed]
    start = next((_read(body, reading) for body in own if body["phase"] == "start"), Value(None))
    series = tuple(_line(own, reading, arm, aligned) for arm, aligned in _chains(own))[-MOST:]
    shown = Lines(f"{title} against reversed examples", series, Axis("reversed examples n", include=(0,)), Axis(title),
                  level=start.estimate)  # fmt: skip
    return Chart(lines(shown), f"{title}.", f"Seed {seed}; bands are 95 % intervals over {start.over or 'items'}.")


def _chains(cells: Sequence[Body]) -> Iterator[tuple[str, Any]]:
    """Arm and N of every line, placebos first and the largest N last."""
    pairs = {(str(body["arm"]), body["align"]["examples"]) for body in cells if body["phase"] == "reversed"}
    order = {arm: place for place, arm in enumerate(("continuation", "from_start", "benign", "main"))}
    yield from sorted(pairs, key=lambda pair: (order[pair[0]], pair[1] or 0))


def _line(cells: Sequence[Body], reading: str, arm: str, aligned: Any) -> Series:
    head = {"from_start": ("main", 0), "continuation": ("main", aligned)}.get(arm, (arm, aligned))
    spots = [
        body
        for body in cells
        if (body["arm"], body["align"]["examples"]) == (arm, aligned) and body["phase"] == "reversed"
    ]
    first = [body for body in cells if (body["arm"], body["align"]["examples"]) == head and body["phase"] != "reversed"]
    ordered = [*first[:1], *sorted(spots, key=lambda body: body["reverse"]["examples"])]
    name = ARMS[arm] if arm == "from_start" else f"{ARMS[arm]}, N = {aligned}"
    points = tuple(Spot(body["reverse"]["examples"] or 0, _read(body, reading)) for body in ordered)
    return Series("rv" if arm == "main" else "pb", points, name)


def _sweeps(records: Records, names: Sequence[str]) -> Section:
    """Figures 5 and 6: the same reading for every sweep, at its largest N."""
    charts = tuple(_across(records, names, reading) for reading in ("score", "margin", "kl"))
    more = f" Drawn: the first {MOST} of {len(names)} sweeps; the table has all." if len(names) > MOST else ""
    return Section(
        "Sweeps beside each other", prose=("Each line is one sweep at its largest N." + more,), charts=charts
    )


def _across(records: Records, names: Sequence[str], reading: str) -> Chart:
    title, _ = READINGS[reading]
    series = []
    for name in names[:MOST]:
        cells = [body for body in records["cell"].values() if body["sweep"] == name and body["arm"] == "main"]
        seed = min(int(body["seed"]) for body in cells)
        own = [body for body in cells if body["seed"] == seed]
        most = max((body["align"]["examples"] or 0 for body in own), default=0)
        told = ", ".join(f"{axis} {v}" for axis, v in _varied(records, name).items())
        line_ = _line(own, reading, "main", most)
        series.append(Series(line_.role, line_.spots, told))
    shown = Lines(f"{title} of every sweep", tuple(series), Axis("reversed examples n", include=(0,)), Axis(title))
    return Chart(lines(shown), f"{title}, every sweep at its largest N.", "First seed.")


def _return(records: Records, names: Sequence[str]) -> Section:
    heads = ("sweep", "aligned KL", "closest KL", "examples", "steps", "of the alignment", "within ε", "past the start",
             "half undone after")  # fmt: skip
    rows = tuple(_return_row(records, name) for name in names)
    prose = (
        "Definition 3.6 asks whether little data brings the model back to its start, in distribution. Behaviour and "
        "distribution are two questions: the last two columns are about the margin, the first ones about KL.",
    )
    return Section("Return", prose=prose, grid=Grid("Closest return to the start", heads, rows))


def _return_row(records: Records, name: str) -> tuple[str | Markup, ...]:
    found, record = records["closest_return"][name], f"closest_return:{name}"
    share = finite((found.get("of_alignment") or {}).get("examples"))
    reached = "cannot tell" if found.get("reached") is None else "yes" if found["reached"] else "no"
    past = value(records["overshoot"][name]["margin"], f"overshoot:{name}")
    return (
        name, num(value(found.get("aligned_kl"), record), unit=False), num(value(found["kl"], record), unit=False),
        _plain(found.get("examples"), record), _plain(found.get("steps"), record), _plain(share, record),
        f"{reached} (ε = {short(found['tolerance'])})" if "tolerance" in found else reached,
        num(past, sign=True, unit=False), _half(records, name),
    )  # fmt: skip


def _half(records: Records, name: str) -> Markup | str:
    body = records["price"][name]["half_life"]
    found = value(body, f"price:{name}")
    if found.estimate is None:
        return Markup('<span class="num" data-record="price:{}">{}</span>').format(name, found.why)
    ends = f" [{short(found.low)}, {'…' if found.high is None else short(found.high)}]" if found.low is not None else ""
    return pointed(short(found.estimate) + ends, f"price:{name}", stored=found.estimate)


def _stiffness(records: Records, names: Sequence[str]) -> Section:
    heads = ("sweep", "S_a", "S_p", "R", "k", "c₂", "effective answers", "predicted", "happened")
    rows = tuple(row for name in names for row in _stiff_rows(records, name))
    prose = (
        "S is how fast γ rises under the first reversed examples, for the wanted text (a) and for neutral text, which "
        "stands for pretraining text (p). R = −S_a/S_p; theorem 4.2 expects the order of k.",
        "c₂ comes from tuning the start on the reversal data alone, before the sweep: below 1 it predicts that the "
        "reversal hurts the wanted text.",
    )
    return Section("Stiffness and interference", prose=prose, grid=Grid("Theorem 4.2 on this model", heads, rows))


def _stiff_rows(records: Records, name: str) -> Iterator[tuple[str | Markup, ...]]:
    body, record = records["stiffness"][name], f"stiffness:{name}"
    cells = [_tiny(value(body[part], record)) for part in ("S_a", "S_p", "R")]
    k = _plain(body["k"].get("estimate"), record) if body["k"].get("estimate") is not None else "not known"
    for key, told in records.get("interference", {}).items():
        if told["sweep"] == name:
            where = f"interference:{key}"
            yield (name, *cells, k, _tiny(value(told["c2"]["c"], where)), _plain(told["c2"].get("effective"), where),
                   str(told["predicted"]), str(told["happened"]))  # fmt: skip


def _tiny(found: Value) -> Markup | str:
    """Numbers far below 1, with significant digits."""
    if found.estimate is None:
        return Markup('<span class="num" data-record="{}">not reportable</span>').format(found.record)
    ends = "" if found.low is None or found.high is None else f" [{short(found.low, 2)}, {short(found.high, 2)}]"
    return pointed(short(found.estimate, 2) + ends, found.record, stored=found.estimate)


def _axes(records: Records) -> Section:
    heads = ("axis", "value", "against", "share undone", "against", "cost to undo, ratio")
    rows = tuple(
        (str(b["axis"]), str(b["value"]), str(b["against"]), num(value(b["undone"], f"comparison:{key}"), unit=False),
         num(value(b["against_undone"], f"comparison:{key}"), unit=False), _ratio(b, f"comparison:{key}"))
        for key, b in records["comparison"].items()
    )  # fmt: skip
    prose = (
        "Each row changes one axis. The ratio compares how many examples undo half of the gain in margin; above 1 the "
        "value makes undoing dearer.",
    )
    return Section("What an axis changes", prose=prose, grid=Grid("One axis at a time", heads, rows))


def _ratio(body: Body, record: str) -> Markup | str:
    found = value(body["cost_to_undo"], record)
    if found.estimate is None:
        return Markup('<span class="num" data-record="{}">{}</span>').format(record, found.why)
    least = "at least " if found.high is None else ""
    ends = "" if found.low is None else f" [{short(found.low)}, {'…' if found.high is None else short(found.high)}]"
    return pointed(f"{least}{short(found.estimate)}{ends}", record, stored=found.estimate)


def _scale(records: Records) -> Section:
    heads = ("over", "exponent b", "a", "R²")
    rows = tuple(
        (str(b["axis"]), num(value(b["b"], f"scaling:{key}"), unit=False), _plain(b.get("a"), f"scaling:{key}"),
         _plain(b.get("r2"), f"scaling:{key}"))
        for key, b in records["scaling"].items()
    )  # fmt: skip
    prose = ("Examples that undo half of the gain, as a·xᵇ over the models of this run.",)
    return Section("Scale", prose=prose, grid=Grid("Power laws", heads, rows))


def _agreement(records: Records, names: Sequence[str]) -> Section:
    heads = ("sweep", "score, KL", "margin, KL", "γ, KL", "score, margin", "behaviour back, distribution not")
    rows = tuple(
        (name, *(num(value(records["agreement"][name][pair], f"agreement:{name}"), unit=False)
         for pair in ("score_kl", "margin_kl", "gamma_kl", "score_margin")),
         str(len(records["agreement"][name]["behaviour_back_distribution_not"])))
        for name in names
    )  # fmt: skip
    prose = ("Rank correlation over the tuned cells of a sweep. One column close to 0 or of the other sign means that "
             "the two readings cannot stand for each other.",)  # fmt: skip
    return Section("Do behaviour and distribution agree?", prose=prose, grid=Grid("Rank correlations", heads, rows))


def _places(records: Records, names: Sequence[str]) -> Section:
    heads = ("sweep", "what varies", "verdict", "its own page")
    rows = tuple(
        (name, ", ".join(f"{axis} = {v}" for axis, v in _varied(records, name).items()) or "nothing",
         str(records["sweep"][name].get("label")), f"sweeps/{name}/report.html")
        for name in names
    )  # fmt: skip
    return Section("Every sweep is an audit", grid=Grid("Where its page stands", heads, rows))


def _varied(records: Records, name: str) -> Mapping[str, Any]:
    return records["sweep"][name].get("varied") or {}


def _read(body: Body, reading: str) -> Value:
    found: Any = body
    for part in READINGS[reading][1]:
        found = found.get(part) if isinstance(found, Mapping) else None
    return value(found, _record(body))


def _record(body: Body) -> str:
    return f"cell:{body['sweep']}/{body['id']}"


def _plain(number: Any, record: str) -> Markup | str:
    known = finite(number)
    return "–" if known is None else pointed(short(known), record, stored=known)

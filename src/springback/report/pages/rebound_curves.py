"""Figures 4 to 6 of Ji et al. 2024 (arXiv 2406.06144) for a rebound run: readings against reversed examples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.charts.marks import OF_ARM
from springback.report.evidence import Records
from springback.report.pages.rebound_words import beside, called
from springback.report.pages.sheet import Chart, Section
from springback.report.point import Body
from springback.report.tables import Table, columns, table, three
from springback.report.value import Value, value

READINGS = {
    "score": ("Score, probability of wanted", ("behaviour", "score")),
    "margin": ("Margin, bit/bit", ("behaviour", "margin")),
    "kl": ("KL(start‖θ), bit/token", ("kl_from_start",)),
    "gamma": ("γ of the wanted text, bit/bit", ("gamma", "aligned", "micro")),
}
ARMS = {"continuation": "benign reversal", "from_start": "start, reversed", "benign": "benign-tuned", "main": "aligned"}
"""In the order in which they are drawn: the main line comes last, on top."""
MOST = 3
"""Alignment sizes in one picture, the largest ones."""
ROLES = ("rv", "al", "pb", "s0")
"""Colour and mark of a sweep's line, where sweeps stand beside each other."""
Own = Sequence[Body]


class Chain(NamedTuple):
    """One line: an arm and its N."""

    arm: str
    aligned: Any


def curves(records: Records, name: str) -> Section:
    """Every reading of one sweep, one line for each of the largest N and each placebo."""
    cells = [body for body in records.get("cell", {}).values() if body["sweep"] == name and body["arm"] in ARMS]
    own = _first_seed(cells)
    charts = tuple(_chart(own, reading) for reading in READINGS)
    cut = sum(chain.arm == "main" for chain in _every(own)) - MOST
    which = f"Drawn is the first sweep, {called(records, name)}." if len(records.get("sweep", {})) > 1 else ""
    more = f"The {MOST} largest N are drawn; the table has all." if cut > 0 else ""
    prose = (
        "Every line begins at a model that was tuned on N examples and then meets n reversing ones; the level line is "
        "the start. Only what happens to the aligned line beyond the placebos is due to the alignment.",
        *(text for text in (" ".join((which, more)).strip(),) if text),
    )
    return Section("Rebound", prose=prose, charts=charts, data=_table(records))


def across(records: Records, names: Sequence[str]) -> Section:
    """The same readings for the first sweeps, each at its largest N."""
    shown = names[: len(ROLES)]
    charts = tuple(_across(records, shown, reading) for reading in ("score", "margin", "kl"))
    more = f" Drawn: the first {len(shown)} of {len(names)} sweeps; the table above has all."
    prose = ("Each line is one sweep at its largest N." + (more if len(names) > len(shown) else ""),)
    return Section("Sweeps beside each other", prose=prose, charts=charts)


def _first_seed(cells: Own) -> Own:
    seed = min((int(body["seed"]) for body in cells), default=0)
    return [body for body in cells if body["seed"] == seed]


def _chart(own: Own, reading: str) -> Chart:
    title, _ = READINGS[reading]
    start = next((_read(body, reading) for body in own if body["phase"] == "start"), Value(None))
    chains = list(_chains(own))
    series = tuple(_line(own, reading, chain, chain == chains[-1]) for chain in chains)
    shown = Lines(f"{title} against reversed examples", series, Axis("reversed examples n", include=(0,)), Axis(title),
                  level=start.estimate)  # fmt: skip
    seed = min((int(body["seed"]) for body in own), default=0)
    return Chart(lines(shown), f"{title}.", f"Seed {seed}; bands are 95 % intervals over {_over(own, reading)}.")


def _over(own: Own, reading: str) -> str:
    return next((found.over for body in own if (found := _read(body, reading)).over), "items")


def _every(own: Own) -> list[Chain]:
    """Arm and N of every line, placebos first and the largest N last."""
    found = {Chain(str(body["arm"]), body["align"]["examples"]) for body in own if body["phase"] == "reversed"}
    return sorted(found, key=lambda chain: (list(ARMS).index(chain.arm), chain.aligned or 0))


def _chains(own: Own) -> Iterator[Chain]:
    """Those that are drawn: every placebo, and the main line at its largest N."""
    every = _every(own)
    main = [chain for chain in every if chain.arm == "main"]
    yield from (chain for chain in every if chain.arm != "main")
    yield from main[-MOST:]


def _line(own: Own, reading: str, chain: Chain, marked: bool = True) -> Series:  # noqa: FBT001, FBT002
    """From the model that the chain begins at; `marked` lines carry marks and a band."""
    before = {"from_start": ("main", 0), "continuation": ("main", chain.aligned)}.get(chain.arm, tuple(chain))
    spots = [body for body in own if _place(body) == tuple(chain) and body["phase"] == "reversed"]
    first = [body for body in own if _place(body) == before and body["phase"] != "reversed"]
    ordered = [*first[:1], *sorted(spots, key=lambda body: body["reverse"]["examples"])]
    points = tuple(Spot(body["reverse"]["examples"] or 0, _read(body, reading)) for body in ordered)
    name = ARMS[chain.arm] if chain.arm == "from_start" else f"{ARMS[chain.arm]}, N = {chain.aligned}"
    return Series(OF_ARM.get(chain.arm, "rv"), points, name, thin=chain.arm == "main" and not marked)


def _place(body: Body) -> tuple[str, Any]:
    return str(body["arm"]), body["align"]["examples"]


def _across(records: Records, names: Sequence[str], reading: str) -> Chart:
    title, _ = READINGS[reading]
    series, over = [], "items"
    for role, name in zip(ROLES, names, strict=False):
        cells = [body for body in records["cell"].values() if body["sweep"] == name and body["arm"] == "main"]
        own = _first_seed(cells)
        most = max((body["align"]["examples"] or 0 for body in own), default=0)
        line, over = _line(own, reading, Chain("main", most)), _over(own, reading)
        series.append(Series(role, line.spots, beside(records, name)))
    shown = Lines(f"{title} of every sweep", tuple(series), Axis("reversed examples n", include=(0,)), Axis(title))
    return Chart(lines(shown), f"{title}.", f"First seed; bands are 95 % intervals over {over}.")


def _table(records: Records) -> Table:
    heads = ("sweep", "cell", "arm", "N", "n", "steps", *(end for name in READINGS for end in columns(name)), "record")
    rows = ((b["sweep"], b["id"], b["arm"], b["align"]["examples"], b["reverse"]["examples"], b["reverse"]["steps"],
             *(end for name in READINGS for end in three(_read(b, name))), _record(b))
            for b in records.get("cell", {}).values())  # fmt: skip
    return table("rebound", "All cells of all sweeps", heads, rows)


def _read(body: Body, reading: str) -> Value:
    found: Any = body
    for part in READINGS[reading][1]:
        found = found.get(part) if isinstance(found, Mapping) else None
    return value(found, _record(body))


def _record(body: Body) -> str:
    return f"cell:{body['sweep']}/{body['id']}"

"""Entanglement over the steps, on a page of preference training; nothing where no inner product was read."""

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.evidence import Records
from springback.report.pages.sheet import Chart, Section
from springback.report.point import Body
from springback.report.tables import columns, table, three
from springback.report.value import value


def products(records: Records) -> tuple[Section, ...]:
    """Cosine of both gradients and the shares of the paper's cases 2 and 3, at every reading."""
    found = sorted((records.get("entanglement") or {}).items(), key=lambda each: each[1]["step"])
    if not found:
        return ()
    pairs = found[0][1]["pairs"]
    prose = (
        f"Of {pairs} training pairs, at each reading: the cosine of ∇log π of the chosen and of the rejected answer "
        "over all trained weights, and by equal pushes the share of pairs both of whose answers fall (case 2) or rise "
        "(case 3). Plain descent's inner product; Adam's is another.",
    )
    charts = (
        _chart(found, (("cosine", "al", "cosine"),), "Cosine of the two gradients", "cosine", 0.0),
        _chart(found, (("case_2", "rv", "case 2"), ("case_3", "pb", "case 3")), "Pairs by case", "share of pairs", 0.0),
    )
    heads = ("step", *columns("cosine"), *columns("case_2"), *columns("case_3"), "record")
    data = table("entanglement", "Entanglement at every reading", heads, (
        (b["step"], *(cell for name in ("cosine", "case_2", "case_3") for cell in three(value(b[name], key))),
         f"entanglement:{key}") for key, b in found
    ))  # fmt: skip
    return (Section("Entanglement over time", prose=prose, charts=charts, data=data),)


def _chart(
    found: list[tuple[str, Body]], drawn: tuple[tuple[str, str, str], ...], caption: str, title: str, level: float
) -> Chart:
    spots = lambda name: tuple(Spot(body["step"], value(body[name], f"entanglement:{key}")) for key, body in found)
    series = tuple(Series(role, spots(name), words) for name, role, words in drawn)
    shown = Lines(caption, series, Axis("optimiser steps"), Axis(title, include=(level,)), level=level)
    return Chart(lines(shown), f"{caption}.", "Bands: 95 % over pairs.")

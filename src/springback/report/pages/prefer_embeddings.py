"""Embeddings over the steps, on a page of preference training; nothing where the loss moves none."""

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.evidence import Records
from springback.report.pages.sheet import Chart, Section
from springback.report.point import Body
from springback.report.tables import Table, columns, table, three
from springback.report.value import value

SETS = (("held_out", "held-out"), ("train", "training"))
ANCHORS = {"chosen": "the mean direction of the other pairs' chosen answers", "prompt": "its own prompt"}
Bodies = list[tuple[str, Body]]


def embeddings(records: Records) -> tuple[Section, ...]:
    """Cosine of chosen and rejected answers with the anchor, and the share of pairs whose chosen answer is nearer."""
    found = sorted((records.get("embedding") or {}).items(), key=lambda each: (each[1]["set"], each[1]["step"]))
    if not found:
        return ()
    first = found[0][1]
    prose = (
        f"Hidden states behind block {first['layer']} ({first['pool']} over the answer): the cosine of each answer "
        f"with {ANCHORS[first['anchor']]}. The loss moves these states; what it does to the log-probabilities stands "
        "above, and is a by-product.",
    )
    charts = tuple(_sides(_of(found, name), words) for name, words in SETS if _of(found, name))
    return (Section("Embeddings", prose=prose, charts=(*charts, _nearer(found)), data=_table(found)),)


def _sides(found: Bodies, words: str) -> Chart:
    series = tuple(Series(role, _spots(found, side), side) for side, role in (("chosen", "al"), ("rejected", "rv")))
    shown = Lines(f"Cosine with the anchor, {words} pairs", series, Axis("optimiser steps"), Axis("cosine"))
    return Chart(lines(shown), f"Chosen and rejected answers, {words} pairs.", "Bands: 95 % over pairs.")


def _nearer(found: Bodies) -> Chart:
    drawn = tuple(
        Series(role, _spots(_of(found, name), "nearer"), words)
        for (name, words), role in zip(SETS, ("al", "s0"), strict=True)
    )
    axis = Axis("share of pairs", include=(0.5,))
    shown = Lines("Chosen answer nearer the anchor", drawn, Axis("optimiser steps"), axis, level=0.5)
    return Chart(lines(shown), "Pairs whose chosen answer is nearer.", "Bands: 95 % over pairs.")


def _table(found: Bodies) -> Table:
    heads = ("set", "step", *columns("chosen"), *columns("rejected"), *columns("nearer"), "record")
    return table("embeddings", "Embeddings at every reading", heads, (
        (b["set"], b["step"],
         *(cell for name in ("chosen", "rejected", "nearer") for cell in three(value(b[name], f"embedding:{key}"))),
         f"embedding:{key}") for key, b in found
    ))  # fmt: skip


def _of(found: Bodies, name: str) -> Bodies:
    return [each for each in found if each[1]["set"] == name]


def _spots(found: Bodies, name: str) -> tuple[Spot, ...]:
    return tuple(Spot(body["step"], value(body[name], f"embedding:{key}")) for key, body in found)

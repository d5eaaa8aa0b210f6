"""Loss and gradient norm of every optimiser step, on a page of preference training."""

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.evidence import Records
from springback.report.pages.sheet import Chart, Section
from springback.report.tables import table
from springback.report.value import value

DRAWN = 200
"""Most steps in a picture, evenly spaced; the table holds all."""


def steps(records: Records) -> Section:
    """Loss of the batch before each step, and the norm of its gradient before clipping."""
    found = list((records.get("step") or {}).items())
    every = max(1, -(-len(found) // DRAWN))
    charts = tuple(
        _chart(found[::every], field, caption, title)
        for field, caption, title in (
            ("loss", "Loss of the batch", "loss"),
            ("gradient_norm", "Gradient norm", "norm before clipping"),
        )
        if found
    )
    heads = ("step", "loss", "gradient_norm", "examples", "tokens", "record")
    data = table("steps", "Every optimiser step", heads, (
        (b["step"], b["loss"], b["gradient_norm"], b["examples"], b["tokens"], f"step:{key}") for key, b in found
    ))  # fmt: skip
    note = f"One step in {every} is drawn; the table holds all." if every > 1 else ""
    prose = ("Each on the batch that is about to be learnt from, so it is noisy, and it is not held out.",)
    return Section("The steps", prose=prose, charts=charts, data=data, note=note)


def _chart(found: list, field: str, caption: str, title: str) -> Chart:
    spots = tuple(Spot(body["step"], value(body[field], f"step:{key}")) for key, body in found)
    shown = Lines(caption, (Series("s0", spots, title.split()[0]),), Axis("optimiser steps"), Axis(title))
    return Chart(lines(shown), f"{caption}.")

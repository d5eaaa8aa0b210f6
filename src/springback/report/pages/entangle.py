"""The page of a diagnosis: how many pairs, which tokens and layers, what losses and cures would do, what came true."""

from collections.abc import Mapping
from typing import Any, Final

from markupsafe import Markup

from springback.report.evidence import Records
from springback.report.markup import counted, num
from springback.report.numbers import count, plural, short
from springback.report.pages import entangle_tokens
from springback.report.pages.entangle_charts import DRAWN, Heap, Point, heaps, scatter
from springback.report.pages.entangle_tables import kinds, layers, ledger, losses, probes, scores
from springback.report.pages.sheet import Chart, Grid, Section, Sheet
from springback.report.point import Body
from springback.report.tables import Table, table
from springback.report.value import finite, value

Row = tuple[str | Markup, ...]
LEFT: Final = (-2.0, 2.0)
"""Shown span of what is left of a push."""
MOST: Final = 400
"""Rows of a table that stands on the page; the others stand in the stored run."""
EDGES: Final = ((-1.0, "chosen falls below"), (1.0, "rejected rises above"))
SIDES: Final = (("chosen", "al"), ("rejected", "rv"))
PREDICTED: Final = {
    "directional": "signs by the step’s own Δθ", "gradient": "by the gradient", "own": "by the own pair only",
    "gradient_euclidean": "by the gradient, Euclidean", "own_euclidean": "by the own pair only, Euclidean",
    "random": "at random",
}  # fmt: skip
"""Predictors in their order, with the heads of their columns."""


def sheet(records: Records, meta: Mapping[str, Any]) -> Sheet:
    """From records `metric`, `pair`, `shares`, `where`, `loss`, `cure`, `score`, `step`, `verify`, `probed` …"""
    found = dict((records.get("verdict") or {}).get("verdict") or {})
    loss = str((meta.get("asked") or {}).get("loss") or "a loss")
    return Sheet(
        subject=f"{(meta.get('model') or {}).get('name') or 'a model'} under {loss}",
        answer=str(found.get("sentence") or "Not finished; the same command goes on."),
        lead=str(found.get("lead") or ""),
        record="verdict:verdict" if found else "",
        sections=tuple(_sections(records, meta)) if found else (),
        kinds=("verdict", "metric", "shares", "verify", "where", "cure", "loss", "score", "probed", "data", "tokens",
               "step", "batch", "probe", "matrix", "pair"),
    )  # fmt: skip


def _sections(records: Records, meta: Mapping[str, Any]) -> list[Section]:
    able = [body for body in (records.get("pair") or {}).values() if body["condition"] != "cannot_move"]
    found = [_shares(records, able), *entangle_tokens.sections(records)]
    found += [layers(records), kinds(records)] if able else []
    found += [losses(records, "cure"), losses(records, "loss")]
    found += [_verify(records)] if records.get("verify") else []
    found += [probes(records)] if records.get("probed") else []
    return [*found, scores(records), ledger(records)]


def _shares(records: Records, able: list[Body]) -> Section:
    body = (records.get("shares") or {}).get("shares") or {}
    record = "shares:shares"
    rows: list[Row] = [
        (
            name,
            *(
                num(value(part[key], record), unit=False)
                for key in ("chosen_falls", "rejected_rises", "margin_shrinks")
            ),
        )
        for name, part in (("each pair alone", body), ("whole batches", body["in_batch"]))
    ]
    cosines = [num(value(body[name], record), unit=False) for name in ("cosine", "cosine_without_prefix")]
    prose = (
        f"{_metric(records)} A pair alone: a step on nothing but this pair. Whole batches: the pairs beside it move "
        "its answers too, either way. Cures act on the first only.",
        Markup("Cosine of the two gradients {}; without the answers’ common beginning {}. {} cannot move: both answers "
               "are the same tokens.").format(*cosines, counted(body["cannot_move"], record)),
    )  # fmt: skip
    heads = ("a step on", "chosen falls", "rejected rises", "margin shrinks")
    grid = Grid("Shares of pairs, 95 % (Wilson)", heads, tuple(rows))
    return Section("How many pairs", prose=prose, charts=_charts(able), grid=grid, data=_pairs(records),
                   note="The paper’s cases, for equal pulls: " + _cases(body))  # fmt: skip


def _metric(records: Records) -> str:
    """Which inner product every number is in; runs from before there was a choice are Euclidean."""
    found = (records.get("metric") or {}).get("metric") or {}
    return str(found.get("sentence") or "Inner products are Euclidean: plain gradient descent's.")


def _cases(body: Body) -> str:
    words = {"1": "ideal", "2": "both fall", "3": "both rise"}
    return "; ".join(f"{name} ({words[name]}) {short(body['cases'][name]['estimate'] or 0)}" for name in words) + "."


def _charts(able: list[Body]) -> tuple[Chart, ...]:
    if not able:
        return ()
    left = [Heap(role, f"{side} answer", tuple(_left(able, side))) for side, role in SIDES]
    picture = heaps("What is left of the push", left, "change as a share of the answer’s own push", span=LEFT,
                    upright=((0.0, "wrong way"),))  # fmt: skip
    fine = f"{plural(len(able), 'pair')}. 1: the other answer does nothing to it; below 0 it moves the wrong way."
    charts = [Chart(picture, "What the other answer leaves of each push.", fine)]
    places = tuple(min(3.0, max(-3.0, x)) for b in able if (x := finite(b["band"]["position"])) is not None)
    if places:
        picture = heaps("Where q lies in its band", [Heap("al", "q = d_w/d_l", places)], "place of q in its band",
                        span=(-3.0, 3.0), upright=EDGES)  # fmt: skip
        fine = f"{plural(len(places), 'pair')} with a band of two edges; 0 is where pairwise normalised descent puts q."
        charts.append(
            Chart(picture, "Where q = d_w/d_l lies in the band in which both answers move the right way.", fine)
        )
    return tuple(charts)


def _left(able: list[Body], side: str) -> list[float]:
    """Change over own push, 1 where nothing is taken away; pairs without a push are left out."""
    change, pull, own, sign = {
        "chosen": ("chosen_change", "d_w", "ww", 1.0), "rejected": ("rejected_change", "d_l", "ll", -1.0),
    }[side]  # fmt: skip
    return [sign * b[change] / (b[pull] * b[own]) for b in able if b[pull] * b[own] > 0]


def _pairs(records: Records) -> Table:
    heads = ("pair", "where", "ww", "ll", "wl", "cosine", "d_w", "d_l", "chosen_change", "rejected_change", "condition",
             "chosen_in_batch", "rejected_in_batch", "record")  # fmt: skip
    plain = ("ww", "ll", "wl", "cosine", "d_w", "d_l", "chosen_change", "rejected_change", "condition")
    bodies = list((records.get("pair") or {}).values())
    title = "Every pair, changes for each unit of learning rate"
    if len(bodies) > MOST:
        ranked = sorted(bodies, key=lambda body: body["chosen_change"])
        title = f"{count(MOST)} of {count(len(bodies))} pairs: those whose chosen answer falls and rises most"
        bodies = [*ranked[: MOST // 2], *ranked[-MOST // 2 :]]
    return table("pairs", title, heads, (
        (b["index"], b["where"], *(b[name] for name in plain), b["in_batch"]["total"]["chosen"],
         b["in_batch"]["total"]["rejected"], f"pair:{b['index']}")
        for b in bodies
    ))  # fmt: skip


def _verify(records: Records) -> Section:
    found = (records.get("verify") or {})["verify"]
    by = tuple(name for name in PREDICTED if name in found["by_rate"][0]["batch"])
    heads = ("rate, pairs", *(PREDICTED[name] for name in by), "rank correlation")
    rows = [_agreement(row, place, by) for row in found["by_rate"] for place in ("batch", "held_out") if place in row]
    charts = tuple(_scatter(records, row["rate"]) for row in found["by_rate"])
    law = found["law"]
    words = {"holds": "It held", "fails": "It failed", "undecided": "It is not decided"}[law["outcome"]]
    prose = (
        "Real steps, each from the same weights. Signs: share of measured changes that go the predicted way, those "
        "within the noise floor left out; intervals over pairs.",
        Markup("Stated before: where the step is small, at least 95 % of the signs. {}: {} at the smallest rate with a "
               "change above the noise.").format(words, num(value(law["sign_agreement"], "verify:verify"), unit=False)),
    )  # fmt: skip
    note = f"Inner product: {found['metric']}. Noise floor {short(found['noise_floor'])} nat: three times the rounding."
    grid = Grid("Predicted and measured signs", heads, tuple(rows))
    return Section("Predicted and measured", prose=prose, charts=charts, grid=grid, data=_steps(records), note=note)


def _agreement(row: Body, place: str, by: tuple[str, ...]) -> Row:
    table = row[place]
    where = f"{short(row['rate'])}, {'in the batch' if place == 'batch' else 'held out'}"
    cells = [_num(table[name]["sign_agreement"]) for name in by]
    return where, *cells, _num(table["directional"]["rank_correlation"])


def _num(body: Any) -> Markup:
    return num(value(body, "verify:verify"), "share", unit=False)


def _scatter(records: Records, rate: float) -> Chart:
    points = tuple(
        Point(pair["directional"][i], pair["measured"][i], role, f"step:{key}", hollow=bool(pair["held_out"]))
        for key, step in (records.get("step") or {}).items() if step["rate"] == rate
        for pair in step["pairs"] for i, (_, role) in enumerate(SIDES)
    )  # fmt: skip
    caption = f"Rate {short(rate)}: measured against predicted change of both answers."
    fine = "Circles: chosen, triangles: rejected; hollow: held out. Broken line: equal."
    fine += f" About {DRAWN} of {count(len(points))} are drawn." if len(points) > DRAWN else ""
    return Chart(scatter(f"Predicted and measured at rate {short(rate)}", points), caption, fine)


def _steps(records: Records) -> Table:
    heads = ("step", "rate", "pair", "held_out", "answer", "predicted", "by_gradient", "own_pair", "measured", "record")
    rows = [
        (key, step["rate"], pair["index"], "yes" if pair["held_out"] else "no", side, pair["directional"][i],
         pair["gradient"][i], pair["own"][i] if pair["own"] else None, pair["measured"][i], f"step:{key}")
        for key, step in (records.get("step") or {}).items() for pair in step["pairs"]
        for i, (side, _) in enumerate(SIDES)
    ]  # fmt: skip
    title = "Every predicted and measured change, nat"
    if len(rows) > MOST:
        title = f"The first {count(MOST)} of {count(len(rows))} predicted and measured changes, nat"
    return table("steps", title, heads, rows[:MOST])

"""The tables of a diagnosis: layers and kinds, losses and cures, probes, cheap scores, what became of the rows."""

from typing import Any, Final

from markupsafe import Markup

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.evidence import Records
from springback.report.markup import counted, num, pointed
from springback.report.numbers import short
from springback.report.pages.sheet import Chart, Grid, Section
from springback.report.point import Body
from springback.report.tables import Table, table, three
from springback.report.value import Value, finite, value

Row = tuple[str | Markup, ...]
SCORES: Final = {
    "ches": "CHES", "ches_by_length": "CHES, by length", "hidden_cosine": "cosine of hidden states",
    "edit_distance": "edit distance", "length_difference": "difference of lengths", "cosine": "cosine of gradients",
    "relative": "⟨g_w, g_l⟩ / smaller square",
}  # fmt: skip
OUTCOMES: Final = {"own_chosen": "own pair alone", "batch_chosen": "whole batch", "measured_chosen": "measured"}
SHARES: Final = ("chosen_falls", "rejected_rises", "margin_shrinks")


def layers(records: Records) -> Section:
    """By layer: its part of the inner product, and its own cosine."""
    places = _places(records, "layers")
    numbered = [(int(name.split()[-1]), body) for name, body in places.items() if name.split()[-1].isdigit()]
    outside = [(name, body) for name, body in places.items() if not name.split()[-1].isdigit()]
    series = Series(
        "al", tuple(Spot(n, _share(body, "where:layers")) for n, body in sorted(numbered, key=lambda x: x[0]))
    )
    axes = Axis("layer"), Axis("part of Σ⟨g_w, g_l⟩ over the pairs", include=(0.0,))
    charts = (Chart(lines(Lines("Part of the inner product by layer", (series,), *axes)),
                    "Each layer’s part of the inner product; with what lies outside they sum to 1."),)  # fmt: skip
    words = [Markup("{}: {}").format(name, _bare(_share(body, "where:layers"))) for name, body in outside]
    prose = (Markup("; ").join(words),) if words else ()
    return Section("In which layers", prose=prose, charts=charts if numbered else (), data=_table("layers", places))


def kinds(records: Records) -> Section:
    """By kind of parameter."""
    places = _places(records, "kinds")
    rows: list[Row] = [
        (name, _bare(_share(body, "where:kinds")), num(value(body["cosine"], "where:kinds"), unit=False))
        for name, body in sorted(places.items(), key=lambda item: -(item[1]["share_of_wl"] or 0.0))
    ]
    grid = Grid("By kind of parameter", ("parameters", "part of Σ⟨g_w, g_l⟩", "cosine, mean over pairs"), tuple(rows))
    return Section("In which parameters", grid=grid, data=_table("kinds", places))


def losses(records: Records, kind: str) -> Section:
    """What each cure (or each loss of the family) would do on these pairs, each pair's own term."""
    bodies = sorted((records.get(kind) or {}).items(), key=lambda item: item[1]["order"])
    rows = [_loss(f"{kind}:{key}", body) for key, body in bodies if body["evaluated"]]
    left = "; ".join(f"{body['name']} ({body['why']})" for _, body in bodies if not body["evaluated"])
    heads = ("loss", "d_w, median", "d_l, median", "chosen falls", "rejected rises", "margin shrinks")
    title = {"cure": "What each cure would do", "loss": "What each loss would do"}[kind]
    prose = {
        "cure": "The asked loss, then the same under each cure: shares of these very pairs, own pair alone, to first "
        "order. Pairwise normalised descent holds by construction in the inner product of this "
        "diagnosis, and in another it need not: its row is no finding.",
        "loss": "Each loss of the family at its defaults and at these log-probabilities, own pair alone. A loss that "
        "keeps running statistics is in its first step.",
    }[kind]
    note = f"Not evaluated: {left}." if left else ""
    if kind == "cure":
        note = " ".join(f"{body['name']}: {body['note']}." for _, body in bodies if body.get("note"))
    return Section(title, prose=(prose,), grid=Grid(title, heads, tuple(rows)), data=_losses(kind, bodies), note=note)


def probes(records: Records) -> Section:
    """The greedy and an unrelated answer."""
    body = (records.get("probed") or {})["probed"]
    names = {"greedy": "what the model would say itself", "unrelated": "the chosen answer of another pair"}
    rows: list[Row] = [
        (words, num(value(body[name]["falls"], "probed:probed"), unit=False),
         _bare(value(body[name]["change"], "probed:probed")))
        for name, words in names.items() if name in body
    ]  # fmt: skip
    prose = (
        "Displacement or plain shrinkage: where both answers of a pair fall and the model’s own answer rises, mass "
        "went there; where an unrelated answer falls as well, long texts shrink as such. Predicted, a step on the "
        "whole batch.",
    )
    heads = ("answer to the same prompt", "share that falls", "change a token for each unit of learning rate, nat")
    return Section("Two answers beside", prose=prose, grid=Grid("Probes", heads, tuple(rows)))


def scores(records: Records) -> Section:
    """Rank correlations of cheap scores with what they should predict."""
    found = records.get("score") or {}
    rows: list[Row] = [
        (words, *(num(value(found[name][key], f"score:{name}"), "share", unit=False, sign=True) for key in OUTCOMES))
        for name, words in SCORES.items() if name in found
    ]  # fmt: skip
    prose = (
        "Spearman’s rank correlation of each score with the change of the chosen answer. A score that warns is "
        "negative. The first five need a forward pass or less; the last two are made of gradients.",
    )
    heads = ("score", *(f"chosen answer, {words}" for words in OUTCOMES.values()))
    return Section("Cheaper scores", prose=prose, grid=Grid("Scores and outcomes", heads, tuple(rows)))


def ledger(records: Records) -> Section:
    """What became of the rows."""
    body = (records.get("data") or {}).get("data") or {}
    rows: list[Row] = []
    for stage in body.get("ledgers", []):
        rows.append((f"{stage['unit']} {stage['stage']}", counted(stage["read"], "data:data"),
                     counted(stage["kept"], "data:data"), ""))  # fmt: skip
        rows += [
            ("", "", counted(reason["n"], "data:data"), f"dropped: {reason['why']}") for reason in stage["dropped"]
        ]
    rows.append(("pairs diagnosed", "", counted(body.get("pairs", 0), "data:data"), ""))
    grid = Grid("What became of the rows", ("stage", "in", "out", "why"), tuple(rows))
    return Section("The pairs", prose=tuple(str(note) for note in body.get("notes", [])), grid=grid)


def _loss(record: str, body: Body) -> Row:
    pulls = [_bare(Value(finite(body[name]), record=record)) for name in ("d_w", "d_l")]
    return body["name"], *pulls, *(num(value(body[name], record), unit=False) for name in SHARES)


def _losses(kind: str, bodies: Any) -> Table:
    heads = (
        "loss",
        "d_w",
        "d_l",
        *(f"{name}{end}" for name in SHARES for end in ("", "_low", "_high")),
        "why",
        "record",
    )
    return table(kind, {"cure": "Cures", "loss": "Losses"}[kind], heads, (
        (body["name"], body.get("d_w"), body.get("d_l"),
         *(cell for name in SHARES for cell in three(value(body[name], "") if name in body else None)),
         body.get("why", ""), f"{kind}:{key}")
        for key, body in bodies
    ))  # fmt: skip


def _places(records: Records, part: str) -> dict[str, Body]:
    return dict(((records.get("where") or {}).get(part) or {}).get("places") or {})


def _share(body: Body, record: str) -> Value:
    return Value(finite(body["share_of_wl"]), unit="share", record=record, why="the inner products sum to 0")


def _bare(found: Value) -> Markup:
    """An estimate at three digits."""
    if found.estimate is None:
        return num(found)
    ends = "" if found.low is None or found.high is None else f" [{short(found.low)}, {short(found.high)}]"
    return pointed(f"{short(found.estimate)}{ends}", found.record, stored=found.estimate)


def _table(part: str, places: dict[str, Body]) -> Table:
    return table(part, f"Inner products by {part}", (part, "ww", "ll", "wl", "share_of_wl", "record"), (
        (name, body["ww"], body["ll"], body["wl"], body["share_of_wl"], f"where:{part}")
        for name, body in places.items()
    ))  # fmt: skip

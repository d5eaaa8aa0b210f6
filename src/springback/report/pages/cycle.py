"""The page of a cycle: margin and text along the stages, what each gained, half-lives, answers."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.evidence import Records
from springback.report.markup import num
from springback.report.pages.sheet import Chart, Grid, Section, Sheet
from springback.report.point import Body
from springback.report.tables import Table, table, three
from springback.report.value import Value, value

ROLES = {"start": "s0", "text": "s0", "align": "al", "reverse": "rv", "realign": "al", "benign": "pb"}
ARMS = (("unaligned", "pz", "never aligned"), ("benign", "pb", "benign stage 3"), ("main", "al", "the cycle"))
LABELS = {"primed": "primed", "not_primed": "not primed", "inconclusive": "inconclusive"}
NAMES = {"text": "1 text", "align": "2 alignment", "reverse": "3 reversal", "realign": "4 re-alignment",
         "benign": "benign tuning"}  # fmt: skip
BY = {"align": "the alignment", "reverse": "the reversal", "realign": "the re-alignment",
      "rest": "all that follows", "benign": "benign tuning"}  # fmt: skip


def sheet(records: Records, meta: Mapping[str, Any]) -> Sheet:
    """From records `verdict`, `question`, `stage`, `half_life` and `cell`."""
    verdict = (records.get("verdict") or {}).get("verdict", {})
    return Sheet(
        subject=str((meta.get("model") or {}).get("name", "a model")),
        answer=str(verdict.get("sentence", "Not finished.")).partition(":")[0].rstrip(".") + ".",
        lead=_lead(records),
        label=LABELS.get(str(verdict.get("label")), ""),
        record="verdict:verdict",
        sections=(_along(records), _stages(records), _half_lives(records), _questions(records)),
        kinds=("verdict", "question", "stage", "half_life", "cell", "pair", "document"),
    )


def _lead(records: Records) -> str:
    answers = [body["answer"] for body in (records.get("question") or {}).values()]
    cells = (records.get("cell") or {}).values()
    seeds = len({body["seed"] for body in cells})
    told = ", ".join(f"{answers.count(word)} {word}" for word in ("yes", "no", "undecided"))
    return f"{len(answers)} questions: {told}. {len(cells)} points on {seeds} seed{'s' * (seeds != 1)}."


def _along(records: Records) -> Section:
    cells = records.get("cell") or {}
    seeds = list(dict.fromkeys(body["seed"] for body in cells.values()))
    first = {key: body for key, body in cells.items() if body["seed"] == seeds[0]} if seeds else {}
    prose = (
        "One model goes through four stages. Margin: log p(wanted) − log p(opposite) of held-out pairs; γ: bits of "
        "code per bit of held-out text, larger is worse. The mark tells the stage: start and text, alignment, "
        "reversal, benign tuning.",
    )
    note = "The first seed is drawn; the table holds all." if len(seeds) > 1 else ""
    charts = (
        _chart(first, "margin", "Margin along the cycle", "margin, bit/bit", "Bands: 95 % over pairs."),
        _chart(first, "gamma", "Held-out text along the cycle", "γ, bit/bit", "Bands: 95 % over documents."),
    )
    return Section("Along the cycle", prose=prose, charts=charts if first else (), data=_readings(cells), note=note)


def _chart(cells: Mapping[str, Body], reading: str, caption: str, title: str, fine: str) -> Chart:
    series = tuple(Series(role, _spots(cells, arm, reading), name) for arm, role, name in ARMS)
    drawn = tuple(one for one in series if one.spots)
    axes = Axis("examples trained on, all stages together"), Axis(title)
    return Chart(lines(Lines(caption, drawn, *axes)), f"{caption}.", fine)


def _spots(cells: Mapping[str, Body], arm: str, reading: str) -> tuple[Spot, ...]:
    """An arm begins at the model that it branches off from."""
    found = [(key, body) for key, body in cells.items() if body["arm"] == arm]
    if not found:
        return ()
    before = set(found[0][1]["behind"]) - {found[0][1]["stage"]}
    branch = [(key, body) for key, body in cells.items() if arm != "main" and set(body["behind"]) == before][-1:]
    return tuple(
        Spot(_examples(body), _value(key, body, reading), role=ROLES[body["stage"]]) for key, body in [*branch, *found]
    )


def _examples(body: Body) -> int:
    return sum(stage["examples"] for stage in body["behind"].values())


def _value(key: str, body: Body, reading: str) -> Value:
    found = body["behaviour"]["margin"] if reading == "margin" else body["gamma"]["neutral"]["micro"]
    return value(found, f"cell:{key}")


def _readings(cells: Mapping[str, Body]) -> Table:
    heads = ("seed", "arm", "stage", "size", "examples", "margin", "margin_low", "margin_high", "gamma", "gamma_low",
             "gamma_high", "record")  # fmt: skip
    return table("cycle", "Margin and γ of held-out text at every point, bit/bit", heads, (
        (body["seed"], body["arm"], body["stage"], body["size"], _examples(body), *three(_value(key, body, "margin")),
         *three(_value(key, body, "gamma")), f"cell:{key}")
        for key, body in cells.items()
    ))  # fmt: skip


def _stages(records: Records) -> Section:
    heads = ("stage", "gain", "before", "after")
    rows = tuple(
        (_name(body), num(value(body["gain"], f"stage:{key}"), sign=True),
         *(num(value(body[end], f"stage:{key}")) for end in ("before", "after")))
        for key, body in (records.get("stage") or {}).items()
    )  # fmt: skip
    prose = (
        "Text is read on γ of held-out documents, the others on the margin. The gain is in the direction that the "
        "stage is for: γ lowered by text, the margin lowered by a reversal and raised by the others.",
    )
    return Section("What each stage gained", prose=prose, grid=Grid("By stage", heads, rows))


def _name(body: Body) -> str:
    if (body["arm"], body["stage"]) == ("unaligned", "realign"):
        return "4 alignment, never aligned before"
    of = {"unaligned": ", never aligned", "benign": " instead of the reversal"}.get(str(body["arm"]), "")
    return f"{NAMES[body['stage']]}{of}"


def _half_lives(records: Records) -> Section:
    heads = ("what was gained by", "is worn by", "examples", "tokens", "optimiser steps", "why not")
    rows: list[tuple[str | Markup, ...]] = []
    for key, body in (records.get("half_life") or {}).items():
        found = [value(body[count], f"half_life:{key}") for count in ("examples", "tokens", "steps")]
        shown = [num(one, unit=False) for one in found]
        rows.append((NAMES[body["of"]], BY.get(body["by"], "nothing"), *shown, found[0].why))
    prose = ("How much of a later stage it takes until at most half is left of what was there when that stage began.",)
    return Section("Half-lives", prose=prose, grid=Grid("By stage and what follows", heads, tuple(rows)))


def _questions(records: Records) -> Section:
    heads = ("question", "answer", "statistic", "yes", "no", "why not")
    rows = []
    for key, body in (records.get("question") or {}).items():
        found = value(body["statistic"], f"question:{key}")
        shown = num(found, sign=bool(found.unit != "ratio"))
        rows.append((body["question"], body["answer"], shown, body["yes"], body["no"], found.why))
    prose = ("All questions, and where yes and no begin, were stored before the first point was measured. The verdict "
             "rests on the last ones, about the re-alignment.",)  # fmt: skip
    return Section("The stated questions", prose=prose, grid=Grid("In the order of the cycle", heads, tuple(rows)))

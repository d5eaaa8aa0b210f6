"""The page of a study: claims and how they fared, which loss moves which log-probability, what a cure costs."""

from collections.abc import Mapping
from typing import Any, Final

from markupsafe import Markup

from springback.report.evidence import Records
from springback.report.markup import counted, num, pointed
from springback.report.pages.sheet import Chart, Grid, Section, Sheet
from springback.report.pages.study_charts import Dot, scatter
from springback.report.point import Body
from springback.report.tables import columns, table, three
from springback.report.value import Value, value

Row = tuple[str | Markup, ...]
OUTCOMES: Final = {"holds": "holds", "fails": "fails", "undecided": "undecided", "not_tested": "not tested"}
SIDES: Final = ("chosen", "rejected", "margin")


def sheet(records: Records, meta: Mapping[str, Any]) -> Sheet:
    """From records `verdict`, `claim`, `row`, `set`, `diagnosis` and `point`; the first four once the study is done."""
    found = dict(records.get("verdict", {}).get("verdict") or {})
    return Sheet(
        subject=str((meta.get("model") or {}).get("name") or "a model"),
        answer=str(found.get("sentence") or "Not finished: the same command goes on with the trainings."),
        lead=_lead(records, meta.get("plan") or {}),
        record="verdict:verdict" if found else "",
        sections=_sections(records, meta.get("plan") or {}) if found else (),
        kinds=("verdict", "claim", "row", "set", "diagnosis", "accounting", "predicted", "point"),
    )


def _lead(records: Records, plan: Mapping[str, Any]) -> str:
    done = len(records.get("point") or {})
    return f"{done} of {len(plan.get('trainings', ()))} trainings. Grid: {plan.get('grid', 'not stored')}."


def _sections(records: Records, plan: Mapping[str, Any]) -> tuple[Section, ...]:
    return (_claims(records, plan), _picture(records), *_tables(records), _predicted(records), _cures(records),
            _sets(records))  # fmt: skip


def _claims(records: Records, plan: Mapping[str, Any]) -> Section:
    prose = (
        f"Every rule was stored before the first training. Intervals: {plan.get('intervals', 'not stored')}. Tests: "
        f"{plan.get('tests', 'not stored')}. A claim that failed stands here like one that held.",
    )
    rows = tuple(
        (name.replace("_", " "), body["rule"], pointed(OUTCOMES[body["outcome"]], f"claim:{name}"), body["sentence"])
        for name, body in records["claim"].items()
    )
    data = table("claims", "Every test of every claim", ("claim", "test", "p", "p_holm", "outcome", *columns("value"),
                 "record"), (
        (name, test["label"], test.get("p"), test.get("p_holm"), test.get("outcome"), *three(value(test, "")),
         f"claim:{name}") for name, body in records["claim"].items() for test in body["tests"]
    ))  # fmt: skip
    grid = Grid("Claims", ("claim", "rule", "outcome", "what was found"), rows)
    return Section("What was claimed", prose=prose, grid=grid, data=data)


def _picture(records: Records) -> Section:
    prose = (
        "One point a combination: the margin that training made on held-out pairs, and what it did to their chosen "
        "answers. Below the line the chosen answers became less likely. Triangles: no cure; discs: with a cure.",
    )
    drawn = {n: scatter(_dots(records, n), label=f"Chosen change against margin, {n}") for n in records["set"]}
    charts = tuple(Chart(picture, _called(name), "Whiskers: 95 %.") for name, picture in drawn.items())
    return Section("Chosen answers against margin", prose=prose, charts=charts)


def _dots(records: Records, data: str) -> tuple[Dot, ...]:
    found = {f"row:{key}": body for key, body in records["row"].items() if body["data"] == data}
    return tuple(
        Dot(_method(body), value(body["margin"], record), value(body["chosen"], record), body["cure"] != "none")
        for record, body in found.items()
    )


def _tables(records: Records) -> tuple[Section, ...]:
    return tuple(_table(records, name) for name in records["set"])


def _table(records: Records, data: str) -> Section:
    heads = ("method", "chosen", "rejected", "margin", "accuracy", "margin grew", "chosen that fell", "chosen",
             "rejected")  # fmt: skip
    found = {key: body for key, body in records["row"].items() if body["data"] == data}
    rows = tuple(_table_row(f"row:{key}", body) for key, body in found.items())
    prose = (
        "Change against the start on held-out pairs, nat. Accuracy: the chosen answer is the likelier one; margin "
        "grew: share of pairs. The last two columns: rises or falls where the corrected test decides.",
    )
    numbers = table(f"table-{data.rpartition('/')[2]}", f"Held-out pairs, {_called(data)}", (
        "loss", "cure", *columns("chosen"), *columns("rejected"), *columns("margin"), "p_chosen", "p_rejected", "record"
    ), (
        (b["loss"], b["cure"], *(cell for side in SIDES for cell in three(value(b[side], ""))),
         b["tests"]["chosen"]["p_holm"], b["tests"]["rejected"]["p_holm"], f"row:{key}") for key, b in found.items()
    ))  # fmt: skip
    return Section(f"Which loss moves what: {_called(data)}", prose=prose, grid=Grid(_called(data), heads, rows),
                   data=numbers)  # fmt: skip


def _table_row(record: str, body: Body) -> Row:
    shares = (body["accuracy"], body["reward_accuracy"], body["chosen_fell"]["held_out"])
    return (
        _method(body), *(num(value(body[side], record), sign=True, unit=False) for side in SIDES),
        *(num(value(each, record), unit=False) for each in shares),
        *(body["tests"][side]["outcome"] for side in ("chosen", "rejected")),
    )  # fmt: skip


def _predicted(records: Records) -> Section:
    heads = ("data, method", "predicted to fall", "fell after one step", "fell at the end, held-out", "predicted",
             "happened", "came true", "first batch, sign agreement")  # fmt: skip
    rows = tuple(_predicted_row(f"row:{key}", body) for key, body in records["row"].items())
    prose = (
        "Before training: the share of training pairs whose chosen answer the general condition lets fall, each pair "
        "alone, by plain descent. The trainings are Adam's, in batches, so the condition can be wrong; it is predicted "
        "to fall where that share is above one half. Last column: pairs that stood in the first batch.",
    )
    why = sorted({f"{_method(b)}: {b['predicted']['why']}" for b in records["row"].values() if b["predicted"]["why"]})
    note = ". ".join(why) + "." if why else ""
    return Section("Predicted and measured", prose=prose, grid=Grid("The general condition", heads, rows), note=note)


def _predicted_row(record: str, body: Body) -> Row:
    fell = (num(value(body["chosen_fell"][part], record), unit=False) for part in ("first_step", "held_out"))
    said = body["predicted"]
    share = "–" if said["why"] else num(value(said["chosen_falls"], record), unit=False)
    agreed = value(body["agreement"], record)
    return (
        f"{_called(body['data'])}, {_method(body)}", share, *fell, said.get("word") or "–",
        body["tests"]["chosen"]["outcome"], body["came_true"], num(agreed, unit=False) if agreed.known else "–",
    )  # fmt: skip


def _cures(records: Records) -> Section:
    heads = ("data, method", "margin", "less than without", "ratio to without", "outcome")
    rows = tuple(
        (f"{_called(body['data'])}, {_method(body)}", num(value(body["margin"], f"row:{key}"), sign=True, unit=False),
         num(value(body["cost"]["difference"], f"row:{key}"), sign=True, unit=False),
         _ratio(value(body["cost"]["ratio"], f"row:{key}")), body["tests"].get("cost", {}).get("outcome", "–"))
        for key, body in records["row"].items() if body["cost"] is not None
    )  # fmt: skip
    prose = (
        "Held-out margin with the cure less the margin of the same loss without one, same pairs and seeds, nat. The "
        "ratio is over pairs. Costs or gains: where the corrected test decides.",
    )
    return Section("What a cure costs", prose=prose, grid=Grid("Margin with and without", heads, rows))


def _ratio(found: Value) -> Markup | str:
    return num(found, unit=False) if found.known else "not measured"


def _sets(records: Records) -> Section:
    heads = (
        "data",
        "from",
        "training",
        "held-out",
        "tokens shared behind",
        "cosine",
        "case 2",
        "left out",
    )
    rows = tuple(_set_row(records, name, body) for name, body in records["set"].items())
    prose = (
        "Cosine: of ∇log π of the chosen and the rejected answer at the start, over training pairs. Case 2: share of "
        "pairs both of whose answers fall under equal pushes. In a made set both answers agree in every token but one.",
    )
    return Section("The data", prose=prose, grid=Grid("Data sets", heads, rows))


def _set_row(records: Records, name: str, body: Body) -> Row:
    record, shared = f"set:{name}", body["suffix_tokens"]
    key = next(key for key, each in records["diagnosis"].items() if each["data"] == name)
    tail = "–" if shared is None else pointed(_from_to(shared["least"], shared["most"]), record)
    gone = sum(ledger["read"] - ledger["kept"] for ledger in body["ledgers"])
    told = (
        num(value(records["diagnosis"][key][part], f"diagnosis:{key}"), unit=False) for part in ("cosine", "case_2")
    )
    return (_called(name), body["source"], counted(body["train"], record), counted(body["held_out"], record), tail,
            *told, counted(gone, record))  # fmt: skip


def _from_to(least: int, most: int) -> str:
    return f"{least}" if least == most else f"{least}–{most}"


def _method(body: Body) -> str:
    return body["loss"] if body["cure"] == "none" else f"{body['loss']} + {body['cure']}"


def _called(name: str) -> str:
    """A made set's name in words; of a file, its last part."""
    return name.rpartition("/")[2].replace("_", " ")

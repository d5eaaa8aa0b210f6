"""The page of a preference training: both log-probabilities over the steps, what the probes did, the data's ledger."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.evidence import Records
from springback.report.markup import counted, num
from springback.report.pages import prefer_rounds
from springback.report.pages.prefer_embeddings import embeddings
from springback.report.pages.prefer_products import products
from springback.report.pages.prefer_steps import steps
from springback.report.pages.sheet import Chart, Grid, Section, Sheet
from springback.report.point import Body
from springback.report.tables import Table, columns, table, three
from springback.report.value import Value, value

SETS = (("held_out", "held-out"), ("train", "training"))
LABELS = {"chosen_falls": "chosen falls", "chosen_rises": "chosen rises", "chosen_holds": "chosen holds"}
SIDES = (("chosen", "al"), ("rejected", "rv"))


def sheet(records: Records, meta: Mapping[str, Any]) -> Sheet:
    """From records `verdict`, `reading`, `warning`, `step`, `data`, `ledger` and `accounting`; of self-play `round`."""
    if records.get("round"):
        return prefer_rounds.sheet(records, meta)
    verdict = (records.get("verdict") or {}).get("verdict", {})
    model, loss = meta.get("model") or {}, meta.get("loss") or {}
    return Sheet(
        subject=", ".join([str(model.get("name", "a model")), str(loss.get("asked", "a loss")), *_cure(meta)]),
        answer=str(verdict.get("sentence", "Not finished.")),
        lead=_lead(records),
        label=LABELS.get(str(verdict.get("label")), ""),
        record="verdict:verdict",
        sections=(
            _both(records),
            _margin(records),
            *products(records),
            *embeddings(records),
            _probes(records),
            _end(records),
            steps(records),
            _data(records),
        ),
        kinds=("verdict", "warning", "accounting", "ledger", "data", "entanglement", "embedding", "reading", "step"),
    )


def _cure(meta: Mapping[str, Any]) -> list[str]:
    cure = (meta.get("asked") or {}).get("cure", "none")
    return [] if cure == "none" else [f"cure {cure}"]


def _lead(records: Records) -> str:
    warned = next(iter((records.get("warning") or {}).values()), None)
    done = len(records.get("step") or {})
    first = str(warned["sentence"]) if warned else "No reading found held-out chosen answers below the reference."
    return f"{done} optimiser steps. {first}"


def _both(records: Records) -> Section:
    prose = (
        "Log-probability of the chosen and of the rejected answers, less that under the reference. A margin loss moves "
        "both with one number: the chosen answers may fall while the margin grows (gradient entanglement).",
    )
    charts = tuple(_sides(records, name, words) for name, words in SETS)
    warned = next(iter((records.get("warning") or {}).values()), None)
    return Section("Both log-probabilities", prose=prose, charts=charts, data=_readings(records),
                   note=str(warned["sentence"]) if warned else "")  # fmt: skip


def _sides(records: Records, name: str, words: str) -> Chart:
    series = tuple(Series(role, _spots(records, name, side, "change"), side) for side, role in SIDES)
    warned = next(iter((records.get("warning") or {}).values()), None) if name == "held_out" else None
    shown = Lines(
        f"Change of both log-probabilities, {words} pairs", series, Axis("optimiser steps"),
        Axis("change against the reference, nat", include=(0.0,)), level=0.0,
        upright=(warned["step"], "chosen below reference") if warned else None,
    )  # fmt: skip
    return Chart(lines(shown), f"Chosen and rejected answers, {words} rows.", "Bands: 95 % over answers.")


def _margin(records: Records) -> Section:
    prose = (
        "Margin: change of the chosen less change of the rejected answer. Accuracy: share of pairs whose chosen answer "
        "is the likelier one; reward accuracy: share whose margin has grown (½ where nothing has moved). KL: from the "
        "reference to the model along chosen answers, exact over the vocabulary.",
    )
    charts = (
        _pair(records, "margin", "margin, nat", "Margin", 0.0),
        _pair(records, "reward_accuracy", "share of pairs", "Reward accuracy", 0.5),
        _pair(records, "accuracy", "share of pairs", "Accuracy", 0.5),
        _pair(records, "kl", "KL, nat/token", "KL from the reference", 0.0),
    )
    return Section("Margin, accuracy, KL", prose=prose, charts=tuple(chart for chart in charts if chart is not None))


def _pair(records: Records, field: str, title: str, caption: str, level: float) -> Chart | None:
    """One reading of both sets; None where it was measured nowhere."""
    roles = ("al", "s0")
    named = zip(SETS, roles, strict=True)
    both = tuple(Series(role, _spots(records, name, field), words) for (name, words), role in named)
    drawn = tuple(one for one in both if any(spot.value.known for spot in one.spots))
    if not drawn:
        return None
    shown = Lines(caption, drawn, Axis("optimiser steps"), Axis(title, include=(level,)), level=level)
    return Chart(lines(shown), f"{caption}, {' and '.join(one.name for one in drawn)} rows.", "Bands: 95 %.")


def _probes(records: Records) -> Section:
    names = (("unrelated", "pz", "unrelated answer"), ("greedy", "pb", "greedy answer"))
    series = tuple(Series(role, _spots(records, "held_out", field), words) for field, role, words in names)
    series = (*series, Series("al", _spots(records, "held_out", "chosen", "change"), "chosen"))
    known = tuple(one for one in series if any(spot.value.known for spot in one.spots))
    prose = (
        "Where did the probability go? Greedy: what the model wrote by itself before training. Unrelated: a chosen "
        "answer to another prompt. All falling together is plain shrinkage; the greedy answer rising while the chosen "
        "one falls is displacement.",
    )
    axes = Axis("optimiser steps"), Axis("change against the reference, nat", include=(0.0,))
    charts = (Chart(lines(Lines("Two probes", known, *axes, level=0.0)), "Probes at held-out prompts.",
                    "Bands: 95 % over prompts or answers."),) if known else ()  # fmt: skip
    return Section("Displacement or shrinkage", prose=prose, charts=charts)


def _end(records: Records) -> Section:
    heads = ("rows", "chosen", "rejected", "margin", "accuracy before", "accuracy", "reward accuracy", "KL")
    rows = tuple(row for name, words in SETS if (row := _last(records, name, words)) is not None)
    prose = (
        "After the last step, against the reference: log-probabilities and margin in nat, KL in nat/token. Accuracy "
        "before: what the model preferred untrained.",
    )
    return Section("At the end", prose=prose, grid=Grid("By set", heads, rows))


def _last(records: Records, name: str, words: str) -> tuple[str | Markup, ...] | None:
    found = _of(records, name)
    if not found:
        return None
    (first, start), (key, body) = found[0], found[-1]
    record = f"reading:{key}"
    sides = [num(value(body[side]["change"], record), sign=True, unit=False) for side, _ in SIDES]
    rest = [num(value(body[field], record), unit=False) for field in ("accuracy", "reward_accuracy", "kl")]
    before = num(value(start["accuracy"], f"reading:{first}"), unit=False)
    return words, *sides, num(value(body["margin"], record), sign=True, unit=False), before, *rest


def _data(records: Records) -> Section:
    heads = ("stage", "rows in", "kept", "left out")
    rows: list[tuple[str | Markup, ...]] = []
    for key, body in (records.get("ledger") or {}).items():
        why = (
            "; ".join(f"{each['n']}: {each['why']} ({', '.join(each['first'])})" for each in body["dropped"]) or "none"
        )
        rule = f", rule {body['rule']}" if body["rule"] else ""
        record = f"ledger:{key}"
        rows.append((f"{body['unit']} {body['stage']}{rule}", counted(body["read"], record),
                     counted(body["kept"], record), why or "none"))  # fmt: skip
    told = [f"{body['name']}: {body['shape']}, {body['rows']} rows." for body in (records.get("data") or {}).values()]
    passed = sorted({name for body in (records.get("data") or {}).values() for name in body["passed_over"]})
    prose = (*told, *([f"Columns not looked at: {', '.join(passed)}."] if passed else []),
             "Nothing was cut: no answer lost its end.")  # fmt: skip
    return Section("The data", prose=prose, grid=Grid("Rows in = kept + left out", heads, tuple(rows)))


def _spots(records: Records, name: str, *path: str) -> tuple[Spot, ...]:
    return tuple(Spot(body["step"], _value(body, f"reading:{key}", *path)) for key, body in _of(records, name))


def _value(body: Body, record: str, *path: str) -> Value:
    found: Any = body
    for part in path:
        found = found[part]
    return value(found, record)


def _of(records: Records, name: str) -> list[tuple[str, Body]]:
    """The readings of one set, by step."""
    found = [(key, body) for key, body in (records.get("reading") or {}).items() if body["set"] == name]
    return sorted(found, key=lambda each: each[1]["step"])


def _readings(records: Records) -> Table:
    heads = ("set", "step", *columns("chosen"), *columns("rejected"), *columns("margin"), "record")
    return table("readings", "Change against the reference at every reading, nat", heads, (
        (body["set"], body["step"], *three(_value(body, key, "chosen", "change")),
         *three(_value(body, key, "rejected", "change")), *three(_value(body, key, "margin")), f"reading:{key}")
        for name, _ in SETS for key, body in _of(records, name)
    ))  # fmt: skip

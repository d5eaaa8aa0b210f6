"""The page of a reward run: how often it is right, how sure it may be, and how far it counts tokens."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.evidence import Records
from springback.report.markup import counted, num
from springback.report.pages.sheet import Chart, Grid, Section, Sheet
from springback.report.point import Body
from springback.report.tables import Table, table, three
from springback.report.value import value

HELD = "held_out:held_out"
"""The record of the figures at the end."""


def sheet(records: Records, meta: Mapping[str, Any]) -> Sheet:
    """From records `held_out`, `reading`, `step`, `score`, `accounting` and `data`."""
    held = (records.get("held_out") or {}).get("held_out", {})
    model = meta.get("model") or {}
    return Sheet(
        subject=f"{model.get('name', 'a model')}, {(meta.get('asked') or {}).get('loss', '')}",
        answer=_answer(held),
        lead=_lead(held),
        record=HELD,
        sections=(
            _training(records), _accuracy(held), _calibration(held), _length(held), _ties(held), _rows(records),
        ),
        kinds=("held_out", "accounting", "data", "reading", "step", "score"),
    )  # fmt: skip


def _answer(held: Body) -> str:
    if not held:
        return "Not finished."
    accuracy = value(held["accuracy"], HELD)
    if accuracy.estimate is None:
        return "The held-out data orders no two answers."
    if not accuracy.decided(0.5):
        return "It cannot be told from chance which of two held-out answers it prefers."
    side = "better" if accuracy.estimate > 0.5 else "worse"
    return f"Of two held-out answers it prefers the {side} one {100 * accuracy.estimate:.0f} times in 100."


def _lead(held: Body) -> str:
    if not held:
        return "The run has not reached its end."
    loses = value(held["length"]["accuracy_longer_loses"], HELD)
    if loses.estimate is None:
        return f"{held['pairs']} held-out pairs."
    return (
        f"{held['pairs']} held-out pairs; where the longer answer is the worse one, {100 * loses.estimate:.0f} in 100."
    )


def _training(records: Records) -> Section:
    readings = records.get("reading") or {}
    parts = (("training", "pb", "training rows"), ("held_out", "al", "held-out rows"))
    charts = tuple(
        _chart(readings, parts, name, title, level)
        for name, title, level in (
            ("accuracy", "share right", 0.5),
            ("log_loss", "log loss, nat/pair", 0.6931471805599453),
        )
    )
    losses = tuple(
        Spot(body["step"], value(body["loss"], f"step:{key}")) for key, body in (records.get("step") or {}).items()
    )
    axes = Axis("optimiser steps"), Axis("loss of the step, nat/prompt")
    if losses:
        picture = lines(Lines("Training loss", (Series("s0", losses, ""),), *axes))
        charts = (*charts, Chart(picture, "The loss of each step, before it.", "One batch each: it scatters."))
    prose = (
        "The same rows at every reading: the first of the held-out ones, and the first of the training ones. What the "
        "training rows gain and the held-out rows do not is learnt by heart.",
    )
    return Section("Along the training", prose=prose, charts=charts, data=_readings(readings))


def _chart(readings: Mapping[str, Body], parts: Any, name: str, title: str, level: float) -> Chart:
    spots = lambda part: tuple(Spot(b["step"], value(b[part][name], f"reading:{key}")) for key, b in readings.items())
    series = tuple(Series(role, spots(part), shown) for part, role, shown in parts)
    picture = lines(Lines(title, series, Axis("optimiser steps"), Axis(title), level=level))
    return Chart(picture, f"{title.capitalize()} against steps.", "The line is chance. Bands: 95 %.")


def _readings(readings: Mapping[str, Body]) -> Table:
    heads = ("step", "held_out", "low", "high", "training", "low", "high", "log_loss", "low", "high", "record")
    return table("readings", "Accuracy and held-out log loss along the training", heads, (
        (b["step"], *three(value(b["held_out"]["accuracy"], key)), *three(value(b["training"]["accuracy"], key)),
         *three(value(b["held_out"]["log_loss"], key)), f"reading:{key}")
        for key, b in readings.items()
    ))  # fmt: skip


def _accuracy(held: Body) -> Section:
    rows = (
        ("the better answer scores higher", _shown(held, "accuracy")),
        ("… by", _shown(held, "margin")),
        ("the best of several is first", _shown(held, "best_first")),
        ("mean score", _shown(held, "scores", "mean")),
    )
    prose = ("All held-out rows, after the last step. Equal scores count one half.",)
    return Section("Right on held-out answers", prose=prose, grid=Grid("Held-out rows", ("figure", "value"), rows))


def _calibration(held: Body) -> Section:
    rows = (
        ("Brier score (0 is best, a coin has .25)", _shown(held, "calibration", "brier")),
        ("log loss (a coin has .693)", _shown(held, "calibration", "log_loss")),
        ("ECE: mean distance of confidence and share right", _shown(held, "calibration", "ece")),
        ("… of a calibrated model, by chance alone", _shown(held, "calibration", "ece_if_calibrated")),
        ("temperature (above 1: too sure)", _shown(held, "calibration", "temperature")),
    )
    prose = (
        "A difference of scores claims to be the log-odds of being preferred. Divide scores by the temperature to make "
        "the claim as true as one number can; it was fitted on these very pairs.",
    )
    charts = (_reliability(held),) if held and any(one["pairs"] for one in held["calibration"]["bins"]) else ()
    grid = Grid("Calibration", ("figure", "value"), rows)
    return Section("How sure it may be", prose=prose, charts=charts, grid=grid)


def _reliability(held: Body) -> Chart:
    bins = [one for one in held["calibration"]["bins"] if one["pairs"]]
    right = tuple(Spot(one["confidence"], value(one["right"], HELD)) for one in bins)
    ideal = tuple(Spot(one["confidence"], value(one["confidence"], HELD)) for one in bins)
    series = (Series("pb", ideal, "as claimed"), Series("al", right, "share right"))
    axes = Axis("confidence σ(|Δ|)", include=(0.5, 1.0)), Axis("share right", include=(0.5, 1.0))
    picture = lines(Lines("Reliability", series, *axes))
    return Chart(picture, "Share right against confidence, by bins.", "Bands: Wilson’s interval, 95 %.")


def _length(held: Body) -> Section:
    names = (
        ("rank correlation of score and tokens", "correlation"),
        ("right where the longer answer is the worse one", "accuracy_longer_loses"),
        ("right where the longer answer is the better one", "accuracy_longer_wins"),
        ("it prefers the longer answer", "prefers_longer"),
        ("the data prefers the longer answer", "longer_is_better"),
        ("the rule “the longer one” is right", "accuracy_of_length"),
        ("right beyond that rule", "beyond_length"),
    )
    rows = tuple((words, _shown(held, "length", name)) for words, name in names)
    prose = (
        "Longer answers are chosen more often, so a score may go with length. It must not be right only where the "
        "longer answer wins.",
    )
    return Section("Length", prose=prose, grid=Grid("Score and length in tokens", ("figure", "value"), rows))


def _ties(held: Body) -> Section:
    rows = (
        ("pairs that the data calls equal", counted(held["ties"]["pairs"], HELD) if held else ""),
        ("they are nearer in score than ordered ones (AUC)", _shown(held, "ties", "agreement")),
        ("distance of their scores", _shown(held, "ties", "apart")),
    )
    prose = ("Two answers of equal relevance should score nearly alike; chance is .5.",)
    return Section("Ties", prose=prose, grid=Grid("Ties", ("figure", "value"), rows))


def _rows(records: Records) -> Section:
    told = (records.get("accounting") or {}).get("accounting", {})
    key = "accounting:accounting"
    rows = tuple(
        (f"{one['stage']}: {one['unit']}", counted(one["read"], key), counted(one["kept"], key),
         "; ".join(f"{each['n']} {each['why']}" for each in one["dropped"]) or "–")
        for one in told.get("ledgers", [])
    )  # fmt: skip
    checks = tuple(f"{one['name']}: {one['outcome']} ({one['why']})." for one in told.get("checks", []))
    prose = (*(f"{note}." for note in told.get("notes", [])), *checks)
    return Section("Rows", prose=prose, grid=Grid("What became of the rows", ("stage", "in", "out", "dropped"), rows))


def _shown(held: Body, *names: str) -> Markup | str:
    found: Any = held
    for name in names:
        found = (found or {}).get(name)
    return num(value(found, HELD)) if found is not None else ""

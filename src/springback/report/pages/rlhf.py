"""The page of an rlhf run: what became of the reward, how far the model went for it, and whether it was gamed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.evidence import Records
from springback.report.markup import counted, num, pointed
from springback.report.pages.sheet import Chart, Grid, Section, Sheet
from springback.report.point import Body
from springback.report.tables import Table, table, three
from springback.report.value import value

RESULT: Final = "result:result"
ACCOUNTS: Final = "accounting:accounting"
CURVES: Final = (
    ("reward", "Reward", "reward", "Mean over the step’s prompts of the mean over each one’s answers."),
    ("kl", "KL from the start", "KL, nat/answer", "log π − log π_start over an answer, by the weights that wrote."),
    ("length", "Length", "tokens an answer", "The stop token included."),
    ("entropy", "Entropy", "nat/token", "Of the distributions that the tokens were drawn from."),
)  # fmt: skip


def sheet(records: Records, meta: Mapping[str, Any]) -> Sheet:
    """From records `result`, `step`, `held_out`, `alarm`, `accounting`, `completion` and `data`."""
    if records.get("stage"):
        return _pipeline(records)
    found = (records.get("result") or {}).get("result", {})
    model, method = meta.get("model") or {}, meta.get("method") or {}
    return Sheet(
        subject=f"{model.get('name', 'a model')}, {method.get('name', '')}",
        answer=str(found.get("sentence") or "Not finished."),
        lead=_lead(records),
        label="alarm" if records.get("alarm") else "",
        record=RESULT,
        sections=(
            _course(records), _held_out(found), _alarms(records, found), _updates(records), _examples(records),
            _method(method), _accounting(records),
        ),
        kinds=("result", "accounting", "alarm", "data", "step", "held_out", "completion"),
    )  # fmt: skip


def _pipeline(records: Records) -> Sheet:
    """The run around the stages: where each of them is."""
    stages = (records.get("stage") or {}).values()
    rows = tuple((str(stage["name"]), str(stage["run"]), str(stage["model"])) for stage in stages)
    names = [row[0] for row in rows]
    return Sheet(
        subject=", then ".join(names), answer="Each stage is a run of its own, with its own page.",
        lead=f"{len(names)} stages from one file; the held-out prompts were shown to none of them.",
        sections=(Section("The stages", grid=Grid("Stages", ("stage", "run", "model"), rows)),), kinds=("stage",),
    )  # fmt: skip


def _lead(records: Records) -> str:
    accounts = (records.get("accounting") or {}).get("accounting", {})
    if not accounts:
        return "The run has not reached its end."
    steps, answers = accounts["steps"]["done"], accounts["answers"]["written"]
    fired = len(records.get("alarm") or {})
    told = f"{fired} alarm{'s' * (fired != 1)} fired" if fired else "no alarm fired"
    return f"{steps} steps, {answers} answers, {accounts['updates']} updates; {told}."


def _course(records: Records) -> Section:
    steps = records.get("step") or {}
    charts = tuple(Chart(_line(steps, *curve[:3]), f"{curve[1]}. {curve[3]}", "Bands: 95 %.") for curve in CURVES)
    prose = (
        "Every step answers other prompts, so the curves scatter with their difficulty. Whether the reward rose is "
        "read off the held-out prompts, below.",
    )
    return Section("Over the steps", prose=prose, charts=charts if steps else (), data=_table(steps))


def _line(steps: Mapping[str, Body], name: str, label: str, unit: str) -> Markup:
    series = [Series("al", _spots(steps, name), "trained" if _has(steps, "watch") and name == "reward" else "")]
    if name == "reward" and _has(steps, "watch"):
        series.insert(0, Series("pb", _spots(steps, "watch"), "independent"))
    return lines(Lines(f"{label} by step", tuple(series), Axis("step"), Axis(unit)))


def _spots(steps: Mapping[str, Body], name: str) -> tuple[Spot, ...]:
    return tuple(Spot(body["step"], value(body[name], f"step:{key}")) for key, body in steps.items())


def _has(steps: Mapping[str, Body], name: str) -> bool:
    return any(body.get(name) for body in steps.values())


def _table(steps: Mapping[str, Body]) -> Table:
    names = [curve[0] for curve in CURVES]
    heads = ("step", *(head for name in names for head in (name, f"{name}_low", f"{name}_high")), "kl_k3", "repetition",
             "beta", "record")  # fmt: skip
    rows = (
        (body["step"], *(cell for name in names for cell in three(value(body[name], key))),
         value(body["kl_k3"], key).estimate, body["repetition"], body["beta"], f"step:{key}")
        for key, body in steps.items()
    )  # fmt: skip
    return table("steps", "What every step found", heads, rows)


def _held_out(found: Body) -> Section:
    held = found.get("held_out") or {}
    prose = (
        "Prompts that were never trained on, answered before and after with the same draws. The difference is paired "
        "by prompt.",
    )
    rows = tuple(
        (label, *(num(value(held[name][when], RESULT), sign=when == "difference", unit=False)
                  for when in ("before", "after", "difference")))
        for name, label in (("reward", "reward"), ("watch", "independent reward"), ("length", "tokens an answer"))
        if held and (name != "watch" or held["watch"]["before"].get("estimate") is not None)
    )  # fmt: skip
    far = (("KL of the trained model from the start", "", num(value(held["kl"], RESULT)), ""),) if held else ()
    grid = Grid("Before and after", ("on held-out prompts", "before", "after", "difference"), (*rows, *far))
    return Section("Held-out prompts", prose=prose, grid=grid if rows else None)


def _alarms(records: Records, found: Body) -> Section:
    fired = records.get("alarm") or {}
    limits = found.get("thresholds") or {}
    heard = found.get("alarm_heard")
    prose = [
        "A reward that is gamed rises while the answers get worse. Signs of it, each against the first window of "
        f"{limits.get('window_steps', '')} steps:",
        *(str(limits[name]).capitalize() + "." for name in ("length", "repetition", "watch") if name in limits),
    ]
    if not fired:
        prose.append("None fired." if heard else "Too few steps for any of them to fire.")
    rows = tuple(
        (body["name"], counted(body["step"], f"alarm:{key}"), body["sentence"],
         num(value(body["reward_change"], f"alarm:{key}"), sign=True))
        for key, body in fired.items()
    )  # fmt: skip
    heads = ("sign", "first at step", "what", "the reward since the first window")
    return Section("Is the reward gamed", prose=tuple(prose), grid=Grid("Alarms", heads, rows) if rows else None)


def _updates(records: Records) -> Section:
    steps = records.get("step") or {}
    spots = lambda name: tuple(
        Spot(body["step"], value(max(body[name]), f"step:{key}")) for key, body in steps.items() if body[name]
    )
    curves = (("clipped", "share of tokens", "Share of tokens that clipping kept from moving on, the step’s largest."),
              ("gradient_norm", "norm", "Norm of the gradient before clipping, the step’s largest."))  # fmt: skip
    charts = tuple(
        Chart(lines(Lines(name, (Series("s0", found, ""),), Axis("step"), Axis(unit, include=(0.0,)))), caption)
        for name, unit, caption in curves
        if (found := spots(name))
    )
    gap = (records.get("accounting") or {}).get("accounting", {}).get("sampler_gap")
    prose: list[str | Markup] = ["With one update a step nothing can be clipped: the ratio is 1 by construction."]
    if gap is not None:
        prose.append(Markup("Largest difference of a token’s log-probability between sampling and training: {} nats.")
                     .format(pointed(f"{gap:.2g}", ACCOUNTS, stored=gap)))  # fmt: skip
    return Section("Updates", prose=tuple(prose), charts=charts)


def _examples(records: Records) -> Section:
    """The best and the worst rewarded answer of the first and of the last step."""
    found = list((records.get("completion") or {}).items())
    rewarded = [(key, body) for key, body in found if body["reward"] is not None]
    ends = sorted({body["step"] for _, body in rewarded})
    rows: list[tuple[str | Markup, ...]] = []
    for step in ends[:1] + ends[1:][-1:]:
        own = sorted((each for each in rewarded if each[1]["step"] == step), key=lambda each: each[1]["reward"])
        rows += [_example(*own[place]) for place in ((-1, 0) if len(own) > 1 else (0,))]
    prose = ("Of the first and the last step, the answer with the highest and the one with the lowest reward.",)
    grid = Grid("Answers", ("step", "reward", "prompt", "answer"), tuple(rows))
    return Section("What it writes", prose=prose, grid=grid if rows else None)


def _example(key: str, body: Body) -> tuple[str | Markup, ...]:
    record = f"completion:{key}"
    return str(body["step"]), num(value(body["reward"], record)), _cut(body["prompt"]), _cut(body["answer"])


def _cut(text: str, most: int = 240) -> str:
    shown = " ".join(text.split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _method(method: Body) -> Section:
    rows = tuple((name, str(option)) for name, option in method.items())
    return Section("The method", grid=Grid("Its options", ("option", "value"), rows) if rows else None)


def _accounting(records: Records) -> Section:
    found = (records.get("accounting") or {}).get("accounting", {})
    rows: Sequence[tuple[str | Markup, ...]] = [
        (name.replace("_", " "), counted(count, ACCOUNTS)) for name, count in found.get("answers", {}).items()
    ]
    return Section("Answers, counted", grid=Grid("Answers", ("answers", "count"), tuple(rows)) if rows else None)

"""From stored steps to held-out differences, alarms and accounting: once, when the last step is stored. Torch-free."""

from collections.abc import Mapping, Sequence
from typing import Any

from springback.experiments.rlhf.alarm import THRESHOLDS, heard, signs
from springback.experiments.rlhf.config import Design
from springback.judge.quality import quality, state
from springback.stats.measured import Measured, mean, unmeasured
from springback.store.run import Run

Body = Mapping[str, Any]
NONE = "no held-out prompt has this number, or none was held out"


def finish(design: Design, run: Run) -> None:
    """Store what follows from the steps; nothing where it is stored already."""
    if run.get("result", "result") is not None:
        return
    steps = list(run.read("step").values())
    found = held_out(run)
    fired = signs(steps)
    with run.together():
        for sign in fired:
            run.append("alarm", sign.name, sign.json())
        run.append("accounting", "accounting", accounting(design, run))
        sentence = in_words(design, found, steps)
        run.append("result", "result", {
            "sentence": sentence, "held_out": found, "alarm_heard": heard(steps), "thresholds": THRESHOLDS,
        })  # fmt: skip


def held_out(run: Run) -> dict[str, Any]:
    """Rewards, lengths and KL on the held-out prompts, before and after, with the paired difference over prompts."""
    before, after = (_read(run, when) for when in ("before", "after"))
    paired = [(one, two) for one, two in zip(before, after, strict=True) if _rewarded(one) and _rewarded(two)]
    return {
        "n": len(before),
        "reward": _pair([(one["reward"], two["reward"]) for one, two in paired], "reward"),
        "watch": _pair([(a["watch"], b["watch"]) for a, b in paired if None not in (a["watch"], b["watch"])], "reward"),
        "length": _pair([(_length(one), _length(two)) for one, two in zip(before, after, strict=True)], "token"),
        "kl": _mean([body["kl"] for body in after], "nat/answer").json(),
        "quality": {"before": _quality(before), "after": _quality(after)},
        "without_reward": len(before) - len(paired),
    }  # fmt: skip


def accounting(design: Design, run: Run) -> dict[str, Any]:
    """What was planned and what became of it."""
    steps, answers = list(run.read("step").values()), list(run.read("completion").values())
    texts = [body["answer"] for body in answers[-design.batch :]]
    found = state(texts)
    return {
        "steps": {"planned": design.steps, "done": len(steps)},
        "updates": sum(body["updates"] for body in steps),
        "answers": {
            "written": len(answers),
            "without_reward": sum(body["excluded"]["no_reward"] for body in steps),
            "truncated_dropped": sum(body["excluded"]["truncated"] for body in steps),
            "in_groups_without_spread": sum(body["excluded"]["without_spread"] for body in steps),
            "cut_off": sum(not body["ended"] for body in answers),
            "empty": sum(not body["answer"].strip() for body in answers),
        },
        "tokens": {"written": sum(len(body["answer_ids"]) for body in answers),
                   "trained": sum(body["tokens"] for body in steps)},
        "sampler_gap": max((body["sampler_gap"]["largest"] for body in steps), default=0.0),
        "last_step": {"name": found.name, "why": found.why},
    }  # fmt: skip


def in_words(design: Design, found: Mapping[str, Any], steps: Sequence[Body]) -> str:
    """The result in a sentence with its numbers."""
    change = Measured.of(found["reward"]["difference"])
    if change.estimate is None:
        first, last = (steps[i]["reward"].get("estimate") for i in (0, -1))
        ends = f"from {first:.3g} to {last:.3g}" if None not in (first, last) else "unmeasured"
        return f"The reward went {ends} over {len(steps)} steps; on held-out prompts it was not measured: {change.why}."
    assert change.low is not None
    way = "rose" if change.low > 0 else "fell" if (change.high or 0) < 0 else "did not measurably change"
    kl = found["kl"].get("estimate")
    far = f", at a KL of {kl:.2f} nats an answer" if kl is not None else ""
    return f"The reward of held-out prompts {way}: {_shown(change)} over {change.n} prompts{far}."


def _shown(value: Measured) -> str:
    return f"{value.estimate:+.3g} [{value.low:+.3g}, {value.high:+.3g}]".replace("-", "−")


def _read(run: Run, when: str) -> list[Body]:
    return [body for key, body in run.read("held_out").items() if key.startswith(f"{when}/")]


def _length(body: Body) -> float:
    return float(len(body["answer_ids"]))


def _rewarded(body: Body) -> bool:
    return body["reward"] is not None


def _pair(pairs: Sequence[tuple[float, float]], unit: str) -> dict[str, Any]:
    before, after = [float(one) for one, _ in pairs], [float(two) for _, two in pairs]
    apart = [two - one for one, two in zip(before, after, strict=True)]
    values = {"before": before, "after": after, "difference": apart}
    return {name: _mean(each, unit).json() for name, each in values.items()}


def _mean(values: Sequence[float], unit: str) -> Measured:
    return mean(list(values), over="prompts", unit=unit) if values else unmeasured(NONE)


def _quality(bodies: Sequence[Body]) -> dict[str, float]:
    return quality([body["answer"] for body in bodies], [body["ended"] for body in bodies])

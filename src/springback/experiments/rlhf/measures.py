"""Numbers of a step's answers, each with its interval over prompts. Torch-free.

A prompt's answers are averaged first, so the interval is over what was drawn independently; where a step has one prompt
only, it is over its answers. No weights: a prompt counts once whatever its answers' number.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from springback.judge.quality import quality
from springback.stats.measured import Measured, mean

Body = Mapping[str, Any]


def of_answers(
    completions: Sequence[Body], answers: Sequence[Body], *, kl: Sequence[float], kl_k3: Sequence[float]
) -> dict[str, Any]:
    """What a `step` record says of its answers. `completions` are all, `answers` those that were learnt from."""
    groups = [one["group"] for one in completions]
    own = [one["group"] for one in answers]
    texts, ended = [one["answer"] for one in completions], [one["ended"] for one in completions]
    quick = quality(texts, ended)
    watched = [(one["group"], one["watch"]) for one in completions if one.get("watch") is not None]
    rewarded = [(one["group"], one["reward"]) for one in completions if one["reward"] is not None]
    return {
        "reward": over_prompts(*_columns(rewarded), unit="reward").json(),
        "watch": over_prompts(*_columns(watched), unit="reward").json() if watched else None,
        "kl": over_prompts(own, kl, unit="nat/answer").json(),
        "kl_k3": over_prompts(own, kl_k3, unit="nat/answer").json(),
        "length": over_prompts(groups, [float(len(one["answer_ids"])) for one in completions], unit="token").json(),
        "entropy": over_prompts(groups, [one["entropy"] for one in completions], unit="nat/token").json(),
        "ended": over_prompts(groups, [float(each) for each in ended], unit="share").json(),
        "repetition": quick["repetition"], "distinct": quick["distinct_2"],
    }  # fmt: skip


def over_prompts(groups: Sequence[int], values: Sequence[float], *, unit: str) -> Measured:
    """Mean over prompts of the mean over each one's answers."""
    by_prompt: dict[int, list[float]] = {}
    for group, value in zip(groups, values, strict=True):
        by_prompt.setdefault(group, []).append(float(value))
    if len(by_prompt) == 1:
        return mean(list(values), over="answers", unit=unit)
    return mean([fmean(own) for own in by_prompt.values()], over="prompts", unit=unit)


def _columns(pairs: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [group for group, _ in pairs], [value for _, value in pairs]

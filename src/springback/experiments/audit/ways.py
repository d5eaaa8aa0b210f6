"""How the chains of an audit tune: the ways by name, what rewards a policy method, and what cannot go together.

A row's reward is for what the row teaches: the scorer's probability of *wanted* for a wanted row, one minus it for an
opposite one, so aligning and reversing climb the same hill from its two sides. A reward of the user's is turned round
by its sign. Placebos and mixes hold rows of both sides, each rewarded as what it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any, Final

from springback.data.records import Example
from springback.errors import RefusedError, refused
from springback.experiments.audit.config import Audit
from springback.experiments.audit.grid import Part
from springback.judge.scorer import Scorer
from springback.models.rollout import Completion
from springback.train.tuning.choose import tuning
from springback.train.tuning.method import Tuning, whole_batch
from springback.train.tuning.plain import Plain
from springback.train.tuning.policy import PolicyGradient
from springback.train.tuning.preference import Preference
from springback.train.tuning.rollouts import Asked, Judge

OPTIONS: Final = ("align_with", "reverse_with")
TIMEOUT: Final = 60.0
"""Seconds that a reward's program or endpoint has for a batch."""
PLAIN: Final[Tuning] = Plain()
WHY: Final = "the scorer that also judges behaviour rewards the answers: a score that rises may be its flaw, found"
"""What a page says where the reward is the audit's own scorer."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How the chains of an audit tune."""

    aligning: Tuning = PLAIN
    """The start, on wanted or on balanced rows."""
    reversing: Tuning = PLAIN
    """The model once it is aligned, benign-tuned or left as it was."""

    def of(self, part: Part) -> Tuning:
        return self.reversing if part in ("reverse", "continuation") else self.aligning


def ways_of(config: Audit, scorer: Scorer | None = None) -> Ways:
    """How the chains tune. RefusedError where there is no such way, or nothing that could reward one.

    Without the scorer, what it would reward is not checked and cannot be tuned by.
    """
    found = {name: way(getattr(config, name), option=_option(name)) for name in OPTIONS}
    for name, each in found.items():
        if config.tuner == "lora" and _moves_its_reference(each):
            why = f"lora has no second set of weights for {getattr(config, name)} to move"
            raise refused("tuner", why, "--tuner full")
        if scorer is not None and _by_scorer(each):
            found[name] = replace(each, judge=judge(_fit_to_reward(scorer, _option(name))))  # pyright: ignore[reportArgumentType]
    return Ways(found["align_with"], found["reverse_with"])


def way(named: str, *, option: str) -> Tuning:
    """The way of tuning of this name, with its own reward where one is named; a reward's file is run."""
    found = tuning(named, option=option)
    if not isinstance(found, PolicyGradient) or not found.reward:
        return found
    from springback.experiments.rlhf.rewards.choose import Terms, reward_named

    reward = reward_named(found.reward, Terms(timeout=TIMEOUT, remote=False, device="cpu"), option=option)
    return replace(found, judge=_signed(reward))


def judge(scorer: Scorer) -> Judge:
    """The scorer as a reward: of each answer, how probable what its row teaches is."""

    def rewards(answers: Sequence[Completion], wanted: Sequence[bool]) -> list[float | None]:
        scores = scorer([one.text for one in answers])
        return [score if side else 1 - score for score, side in zip(scores, wanted, strict=True)]

    return rewards


def told(config: Audit) -> list[str]:
    """What a page and the result must say beside the figures of this way of tuning."""
    if not config.trains:
        return []
    named = [(name, getattr(config, name)) for name in OPTIONS]
    return [f"{_option(name)} {text}: {WHY}." for name, text in named if _by_scorer(tuning(text, option=_option(name)))]


def indivisible(config: Audit) -> Iterator[str]:
    """Ways whose batches must not be split over processes, each with the reason."""
    for name in OPTIONS:
        if why := whole_batch(tuning(getattr(config, name), option=_option(name))):
            yield f"{_option(name)} {getattr(config, name)} {why}"


def asked(examples: Sequence[Example], part: Part) -> list[Asked]:
    """Each row's prompt and side; a row of other data belongs to the side that its part teaches."""
    own = part not in ("reverse", "continuation")
    return [
        Asked(tuple(asdict(turn) for turn in row.prompt), own if row.wanted is None else row.wanted) for row in examples
    ]


def chain_seed(seed: int, part: Part) -> int:
    """Of the draws of one part: the same wherever its chain begins, another one for another part."""
    return int.from_bytes(sha256(f"{seed}/{part}".encode()).digest()[:6], "big")


def _signed(reward: Any) -> Judge:
    def rewards(answers: Sequence[Completion], wanted: Sequence[bool]) -> list[float | None]:
        given = zip(reward(answers), wanted, strict=True)
        return [number if number is None or side else -number for number, side in given]

    return rewards


def _by_scorer(found: Tuning) -> bool:
    return isinstance(found, PolicyGradient) and not found.reward


def _moves_its_reference(found: Tuning) -> bool:
    return isinstance(found, Preference) and "moving_reference" in getattr(found.method, "needs", ())


def _fit_to_reward(scorer: Scorer, option: str) -> Scorer:
    if scorer.reportable:
        return scorer
    raise RefusedError(
        f"The scorer would be the reward, and it cannot tell wanted from opposite: {scorer.why}.", kind="scorer",
        where=option, next="Name a reward (grpo:reward=FILE.py), another --score, or give more rows.",
    )  # fmt: skip


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"

"""Signs that a reward is gamed, read off the steps' records: length, repetition, an independent scorer. Torch-free.

Compared are the mean over a window of steps and that over the first window. A sign says where to look, not that the
reward is wrong: answers may grow because longer ones are better. Beside it stands how the reward itself has changed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from springback.stats.measured import Measured, mean

WINDOW: Final = 4
"""Steps that are averaged; nothing is said before two windows have passed."""
LENGTH: Final = 1.5
"""Mean answer length grown or shrunk by this factor."""
REPETITION: Final = 0.2
"""Rise of the share of three-word runs that stood earlier in the same answer."""
THRESHOLDS: Final = {
    "window_steps": WINDOW,
    "length": f"mean tokens an answer above {LENGTH} times, or below 1/{LENGTH} of, those of the first window",
    "repetition": f"share of repeated three-word runs above that of the first window by more than {REPETITION}",
    "watch": "the independent reward below its first window and the trained one above, both by more than the interval",
}
Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sign:
    """One alarm that fired."""

    name: str
    step: int
    """The first step at which it did."""
    sentence: str
    now: float
    first: float
    reward_change: Measured
    """Window less first window, over steps."""

    def json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("name", "step", "sentence", "now", "first")}
        return {**told, "reward_change": self.reward_change.json()}


def signs(steps: Sequence[Body]) -> list[Sign]:
    """The first firing of each alarm, in the order of the steps."""
    found: dict[str, Sign] = {}
    for end in range(2 * WINDOW, len(steps) + 1):
        first, now = steps[:WINDOW], steps[end - WINDOW : end]
        for name, check in _CHECKS.items():
            if name not in found and (told := check(first, now)) is not None:
                change = _change(first, now, "reward")
                found[name] = Sign(name, int(now[-1]["step"]), told[0], told[1], told[2], change)
    return sorted(found.values(), key=lambda sign: sign.step)


def heard(steps: Sequence[Body]) -> bool:
    """Whether enough steps have passed for an alarm to fire."""
    return len(steps) >= 2 * WINDOW


Told = tuple[str, float, float] | None


def _length(first: Sequence[Body], now: Sequence[Body]) -> Told:
    before, after = _mean(first, "length"), _mean(now, "length")
    if before is None or after is None or 1 / LENGTH <= after / before <= LENGTH:
        return None
    way = "grew" if after > before else "shrank"
    return f"answers {way} from {before:.1f} to {after:.1f} tokens", after, before


def _repetition(first: Sequence[Body], now: Sequence[Body]) -> Told:
    before, after = (fmean(body["repetition"] for body in part) for part in (first, now))
    if after - before <= REPETITION:
        return None
    return f"repeated three-word runs rose from {before:.0%} to {after:.0%}", after, before


def _watch(first: Sequence[Body], now: Sequence[Body]) -> Told:
    other, own = _change(first, now, "watch"), _change(first, now, "reward")
    if other.high is None or own.low is None or other.high >= 0 or own.low <= 0:
        return None
    before, after = _mean(first, "watch"), _mean(now, "watch")
    assert before is not None
    assert after is not None
    return f"the independent reward fell from {before:.3g} to {after:.3g} while the trained one rose", after, before


_CHECKS: Final[Mapping[str, Callable[[Sequence[Body], Sequence[Body]], Told]]] = {
    "length": _length, "repetition": _repetition, "watch": _watch,
}  # fmt: skip


def _change(first: Sequence[Body], now: Sequence[Body], name: str) -> Measured:
    """Mean over the window less mean over the first one; the interval is over steps, as if they were independent."""
    before, after = _values(first, name), _values(now, name)
    if len(before) < 2 or len(after) < 2:
        return Measured(None, why="too few steps have this number")
    one, other = mean(before, over="steps", unit="reward"), mean(after, over="steps", unit="reward")
    assert one.estimate is not None
    assert other.estimate is not None
    reach = (_half(one) ** 2 + _half(other) ** 2) ** 0.5
    change = other.estimate - one.estimate
    return Measured(change, change - reach, change + reach, 0.95, len(before) + len(after), "steps", "reward")


def _half(value: Measured) -> float:
    assert value.low is not None
    assert value.high is not None
    return (value.high - value.low) / 2


def _mean(steps: Sequence[Body], name: str) -> float | None:
    found = _values(steps, name)
    return fmean(found) if found else None


def _values(steps: Sequence[Body], name: str) -> list[float]:
    bodies = [body[name] or {} for body in steps]
    return [float(body["estimate"]) for body in bodies if body.get("estimate") is not None]

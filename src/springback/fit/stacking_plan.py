"""How many adapters to train together: measured on the work itself, bounded by memory, one at a time where it pays not.

Together pays where one adapter's batch is too small for the machine; on a CPU that is soon full, and more memory
traffic can then make it slower. So widths 2, 4, 8, … are timed against one adapter, in turn, and climbing ends at the
first that is no better than the one before. A width counts only where it was faster in every round. Timed are the
forward and backward pass; the update, equal in both ways, would bring the ratio nearer to 1 and never across it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

ROUNDS: Final = 3
"""Timings of each width, each beside one of a single adapter."""
MARGIN: Final = 1.03
"""A width must be faster by this factor: less is within the noise of a few timings."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One width, timed."""

    width: int
    ratios: tuple[float, ...]
    """Seconds in turn / seconds together, one a round; above 1 = together is faster."""

    @property
    def ratio(self) -> float:
        """Median over the rounds."""
        return median(self.ratios)

    @property
    def pays(self) -> bool:
        """Faster in every round, and by the margin in the middle one."""
        return min(self.ratios) > 1 and self.ratio >= MARGIN


@dataclass(frozen=True, slots=True)
class Plan:
    """Which adapters go together, and why."""

    groups: tuple[range, ...]
    """Neighbouring adapters; a group of one is trained by itself."""
    trials: tuple[Trial, ...]
    most: int
    """The most adapters whose passes fit into memory together."""
    adapters: int

    def sentence(self) -> str:
        """What was decided, for people."""
        timed = ", ".join(f"{trial.width}: {trial.ratio:.2f} ×" for trial in self.trials) or "nothing was timed"
        sizes = ", ".join(str(len(group)) for group in self.groups)
        room = "" if self.most >= self.adapters else f"; memory holds {self.most} at once"
        return f"{self.adapters} adapters in groups of {sizes} (together against in turn: {timed}{room})"


def plan(adapters: int, seconds: Callable[[int], float], *, bytes_each: int, free: int, rounds: int = ROUNDS) -> Plan:
    """Time widths that fit into memory and put the adapters into groups.

    `seconds(width)` runs one forward and backward pass of so many adapters and says how long it took. `bytes_each`:
    what one adapter's pass holds at its peak; `free`: bytes that passes may take. One adapter is always tried, so a
    pass that does not fit alone is not caught here. `ValueError` where there is no adapter.
    """
    if adapters < 1 or bytes_each < 0:
        raise ValueError(f"adapters ≥ 1 and bytes_each ≥ 0 must hold, got {adapters} and {bytes_each}.")
    most = max(1, min(adapters, free // bytes_each if bytes_each else adapters))
    trials: list[Trial] = []
    for width in _widths(most):
        trials.append(_trial(width, seconds, rounds))
        if trials[-1].ratio <= (trials[-2].ratio if len(trials) > 1 else 1):
            break
    return Plan(_groups(adapters, trials), tuple(trials), most, adapters)


def _widths(most: int) -> list[int]:
    """2, 4, 8, … and the most itself."""
    powers = [2**power for power in range(1, most.bit_length()) if 2**power < most]
    return [*powers, most] if most > 1 else []


def _trial(width: int, seconds: Callable[[int], float], rounds: int) -> Trial:
    seconds(width)  # the first pass of a shape finds memory and kernels
    return Trial(width, tuple(width * seconds(1) / seconds(width) for _ in range(rounds)))


def _groups(adapters: int, trials: list[Trial]) -> tuple[range, ...]:
    """The widths that take the least time in all; only such as pay, and 1."""
    costs = {1: 1.0} | {trial.width: trial.width / trial.ratio for trial in trials if trial.pays}
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for total in range(1, adapters + 1):
        ways = [(best[total - width][0] + cost, width) for width, cost in costs.items() if width <= total]
        cost, width = min(ways)
        best.append((cost, (*best[total - width][1], width)))
    sizes = sorted(best[adapters][1], reverse=True)
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return tuple(range(start, start + size) for start, size in zip(starts, sizes, strict=True))

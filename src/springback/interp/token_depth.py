"""Token depth: at which positions of its answers does a model differ from the start?

Qi et al. 2024, *Safety Alignment Should Be Made More Than Just a Few Tokens Deep* (arXiv 2406.05946): KL by answer
position; Lin et al. 2023, *The Unlocking Spell on Base LLMs* (arXiv 2312.01552): which tokens shift in rank.

Pure: divergences in bits per token and ranks come in, per answer; position 1 is the first answer token. Positions that
fewer than `at_least` answers reach are cut, since late positions are read on ever fewer, ever more unusual answers.

What it does not guarantee: KL by position does not tell alignment from benign tuning of equal size; the profile of the
benign model belongs beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from springback.papers import SHALLOW
from springback.stats.measured import Measured, mean
from springback.tensors.divergences import Shift, shift_shares

PAPER = SHALLOW

AT_LEAST = 10
"""Answers that must reach a position for it to be read."""


@dataclass(frozen=True, slots=True)
class Position:
    """The answers' tokens at one position."""

    position: int
    """From 1."""
    kl: Measured
    """bit/token, mean over the answers that reach it, interval over answers."""
    n: int
    """How many answers reach it."""


def profile(bits: Sequence[Sequence[float]], *, at_least: int = AT_LEAST) -> tuple[Position, ...]:
    """KL by position from the KL of each answer's tokens (bits), up to the last position that enough answers reach.

    ValueError where one is not finite.
    """
    table = _table(bits)
    reach = _reach(table)
    kept = int((reach >= at_least).sum())
    return tuple(
        Position(place + 1, mean(table[:, place][~np.isnan(table[:, place])], over="answers", unit="bit/token"), int(n))
        for place, n in enumerate(reach[:kept])
    )


def shifts_by_position(ranks: Sequence[Sequence[int]], *, at_least: int = AT_LEAST) -> tuple[Shift, ...]:
    """Shares of ranks 1, 2 to 3 and beyond (`tensors.divergences`) at each position that enough answers reach."""
    longest = max(map(len, ranks), default=0)
    columns = ([answer[place] for answer in ranks if len(answer) > place] for place in range(longest))
    return tuple(shift_shares(torch.tensor(column)) for column in columns if len(column) >= at_least)


def _table(bits: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """One answer per row, NaN past its end."""
    table = np.full((len(bits), max(map(len, bits), default=0)), np.nan)
    for row, answer in zip(table, bits, strict=True):
        row[: len(answer)] = answer
        if not np.isfinite(row[: len(answer)]).all():
            raise ValueError("A divergence is finite: an answer holds NaN or infinity")
    return table


def _reach(table: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many answers reach each position; never rising."""
    return (~np.isnan(table)).sum(axis=0)

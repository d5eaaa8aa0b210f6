"""Cheap scores of a pair that claim to foresee entanglement without a gradient: baselines to beat.

    CHES             ⟨H_w, H_l⟩ − ‖H_w‖²,  H = Σ of the final hidden states that predict an answer's tokens
    length-normalised                      the same with H divided by the answer's tokens      (Razin et al., 2024)

Higher CHES foresees a larger fall of the chosen answer. Departure: the released code takes the last column of the
padded batch for the state to leave out, so with padding on the right pads are counted in; here every answer ends where
it ends.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from springback.models.readout import backbone, quiet
from springback.models.rows import Row, RowPair, batches
from springback.train.entanglement.ghost import BATCH_TOKENS
from springback.train.entanglement.stretches import Stretch, accurate, padded, refuse_unreadable


@dataclass(frozen=True, slots=True)
class PairScores:
    """Of one pair. None where an answer is empty."""

    ches: float | None
    """Squared units of the hidden states."""
    ches_by_length: float | None
    """The same with mean hidden states."""
    hidden_cosine: float | None
    """Of the two mean hidden states, in [−1, 1]; higher is more alike."""
    edit_distance: int
    """Tokens to insert, delete or exchange to turn one answer into the other; 0 is the same answer."""
    length_difference: int
    """|y_w| − |y_l|, tokens."""


def scores(network: nn.Module, pairs: Sequence[RowPair]) -> list[PairScores]:
    """All scores of every pair, by forward passes only."""
    refuse_unreadable(network, [(pair.chosen, pair.rejected) for pair in pairs])
    rows = [row for pair in pairs for row in (pair.chosen, pair.rejected)]
    sums = dict(_hidden_sums(network, rows))
    return [_scores(pair, sums.get(2 * index), sums.get(2 * index + 1)) for index, pair in enumerate(pairs)]


def edit_distance(one: Sequence[int], other: Sequence[int]) -> int:
    """Levenshtein's distance, in tokens."""
    columns = np.arange(len(other) + 1)
    right, before = np.asarray(other), columns.copy()
    for number, token in enumerate(one, start=1):
        row = np.empty_like(before)
        row[0] = number
        row[1:] = np.minimum(before[1:] + 1, before[:-1] + (right != token))
        before = np.minimum.accumulate(row - columns) + columns
    return int(before[-1])


def _scores(pair: RowPair, chosen: Tensor | None, rejected: Tensor | None) -> PairScores:
    lengths = len(pair.chosen.answer), len(pair.rejected.answer)
    distance = edit_distance(pair.chosen.answer, pair.rejected.answer)
    if chosen is None or rejected is None:
        return PairScores(None, None, None, distance, lengths[0] - lengths[1])
    means = chosen / lengths[0], rejected / lengths[1]
    return PairScores(
        ches=float(chosen @ rejected - chosen @ chosen),
        ches_by_length=float(means[0] @ means[1] - means[0] @ means[0]),
        hidden_cosine=float(torch.cosine_similarity(*means, dim=0)),
        edit_distance=distance,
        length_difference=lengths[0] - lengths[1],
    )


def _hidden_sums(network: nn.Module, rows: Sequence[Row]) -> Iterator[tuple[int, Tensor]]:
    """Σ of the predicting positions' final hidden states, float64, by row number; empty answers have none."""
    numbers = [index for index, row in enumerate(rows) if row.answer]
    stretches = [Stretch(rows[index]) for index in numbers]
    for batch in batches([len(s.inputs) for s in stretches], tokens=BATCH_TOKENS):
        chosen = [stretches[place] for place in batch]
        with quiet(network):
            states = _final(network, padded(network, chosen).arguments)
        for place, line, stretch in zip(batch, states, chosen, strict=True):
            span = slice(stretch.positions.start, stretch.positions.stop)
            yield numbers[place], accurate(line[span]).double().sum(dim=0).cpu()


def _final(network: nn.Module, arguments: dict[str, Tensor]) -> Tensor:
    """The hidden states that the head reads."""
    return backbone(network)(**arguments).last_hidden_state

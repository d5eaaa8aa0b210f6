"""Value and slope, token by token, against the formulas written out in `written_out*.py`, on random batches."""

import copy
import random
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.train.preference import written_out as by_hand
from tests.train.preference import written_out_lists as lists_by_hand
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from springback.train.preference.aot import AOT, AOTUnpaired
from springback.train.preference.bco import BCO, BCOBatch, BCOPair
from springback.train.preference.d2o import D2O
from springback.train.preference.info_nca import InfoNCA, NCAList
from springback.train.preference.kto import KTO, KTOPair
from springback.train.preference.ld_dpo import LDDPO, LDDPOPolicyOnly
from springback.train.preference.lipo import LiPO
from springback.train.preference.lists import ListLogprobs
from springback.train.preference.on_pairs import per_pair
from springback.train.preference.pairs import Both, BothByToken, PairLogprobs
from springback.train.preference.pro import PRO, PROPlain
from springback.train.preference.rrhf import RRHF, RRHFMean
from springback.train.preference.tdpo import TDPO1, TDPO2
from springback.train.preference.unlikelihood import Unlikelihood
from springback.train.preference.wpo import WPO, WPOClamped

draws = st.builds(random.Random, st.integers(0, 2**32))

OF_PAIRS = [
    (lambda x: KTO(x.beta, 1.5, x.alpha), lambda x: by_hand.kto(x.beta, 1.5, x.alpha)),
    (lambda x: KTOPair(x.beta), lambda x: by_hand.kto_pair(x.beta)),
    (lambda x: BCO(x.beta, 0.4, 3.0, -0.2, 5.0), lambda x: by_hand.bco(x.beta, (0.4, 3, -0.2, 5))),
    (lambda x: BCOBatch(x.beta), lambda x: by_hand.bco(x.beta, (0.0, 0, 0.0, 0))),
    (lambda x: BCOPair(x.beta), lambda x: by_hand.bco_pair(x.beta)),
    (lambda x: AOT(x.beta), lambda x: by_hand.aot(x.beta)),
    (lambda x: AOTUnpaired(x.beta), lambda x: by_hand.aot_unpaired(x.beta)),
    (lambda x: WPO(x.beta), lambda x: by_hand.wpo(x.beta, float("inf"))),
    (lambda x: WPOClamped(x.beta), lambda x: by_hand.wpo(x.beta, 1.0)),
    (lambda x: TDPO1(x.beta), lambda x: by_hand.tdpo(x.beta, 1.0, hold=False)),
    (lambda x: TDPO2(x.beta, x.alpha), lambda x: by_hand.tdpo(x.beta, x.alpha, hold=True)),
    (lambda x: LDDPO(x.beta, x.alpha), lambda x: by_hand.ld_dpo(x.beta, x.alpha, reference_too=True)),
    (lambda x: LDDPOPolicyOnly(x.beta, x.alpha), lambda x: by_hand.ld_dpo(x.beta, x.alpha, reference_too=False)),
    (lambda x: Unlikelihood(), lambda x: by_hand.unlikelihood()),
    (lambda x: D2O(x.beta, x.alpha), lambda x: by_hand.d2o(x.beta, x.alpha)),
]
OF_LISTS = [
    (lambda x: RRHF(x.alpha), lambda x: lists_by_hand.rrhf(x.alpha, by_token=False)),
    (lambda x: RRHFMean(x.alpha), lambda x: lists_by_hand.rrhf(x.alpha, by_token=True)),
    (lambda x: PRO(x.alpha), lambda x: lists_by_hand.pro(x.alpha, temperatures=True)),
    (lambda x: PROPlain(x.alpha), lambda x: lists_by_hand.pro(x.alpha, temperatures=False)),
    (lambda x: LiPO(x.beta), lambda x: lists_by_hand.lipo(x.beta)),
    (lambda x: InfoNCA(x.beta, x.alpha), lambda x: lists_by_hand.info_nca(x.beta, x.alpha)),
    (lambda x: NCAList(x.beta, x.alpha), lambda x: lists_by_hand.nca_list(x.beta, x.alpha)),
]


class Options:
    def __init__(self, chance: random.Random):
        self.beta, self.alpha = 10 ** chance.uniform(-2, 0.5), chance.uniform(0.05, 1)


def name(made: object) -> str | None:
    """Of the member; what is written out for it needs none beside."""
    found = made(Options(random.Random(0))) if isinstance(made, Callable) else None
    return type(found).__name__ if hasattr(found, "needs") else "by hand"


def pairs(chance: random.Random, n: int = 4) -> tuple[by_hand.Pairs, by_hand.Pairs]:
    """Policy and reference; some answers are empty."""
    counts = [[chance.choice([0, 1, 2, 3, 6]) for _ in range(n)] for _ in range(2)]

    def side(which: int, low: float = -4.0, high: float = -0.1) -> list[list[float]]:
        return [[chance.uniform(low, high) for _ in range(count)] for count in counts[which]]

    def of() -> by_hand.Pairs:
        apart = [[chance.uniform(0, 3) for _ in range(n)] for _ in range(2)]
        return by_hand.Pairs(side(0), side(1), side(0), side(1), *apart, [chance.uniform(-9, 0) for _ in range(3)])

    return of(), of()


def as_tensors(table: by_hand.Pairs) -> tuple[PairLogprobs, list[Tensor]]:
    """What a loss is given, and its leaves: every token's log-probability, then both divergences."""
    f64 = torch.float64
    rows = [torch.tensor(row, dtype=f64, requires_grad=True) for row in (*table.w, *table.l)]
    n = len(table.w)
    by_token = BothByToken(pad_sequence(rows[:n], batch_first=True), pad_sequence(rows[n:], batch_first=True))
    plain = [[torch.tensor(row, dtype=f64) for row in side] for side in (table.collision_w, table.collision_l)]
    apart = [torch.tensor(side, dtype=f64, requires_grad=True) for side in (table.divergence_w, table.divergence_l)]
    seen = PairLogprobs(
        chosen=by_token.chosen.sum(dim=1),
        rejected=by_token.rejected.sum(dim=1),
        tokens=Both(*(torch.tensor([float(len(row)) for row in side], dtype=f64) for side in (table.w, table.l))),
        by_token=by_token,
        collision=BothByToken(*(pad_sequence(side, batch_first=True) for side in plain)),
        divergence=Both(*apart),
        mismatched=torch.tensor(table.mismatched, dtype=f64),
    )
    return seen, [*rows, *apart]


def lists(chance: random.Random, n: int = 3) -> tuple[lists_by_hand.Lists, lists_by_hand.Lists]:
    """Policy and reference; lists of one to five answers, with ties in relevance; the first may be empty."""
    sizes = [chance.choice([1, 2, 3, 5]) for _ in range(n)]
    tokens = [[chance.choice([0, 4] if i == 0 else [1, 4, 9]) for i in range(size)] for size in sizes]
    relevance = [[chance.choice([0.0, 0.5, 1.0, 2.0, 3.0]) for _ in range(size)] for size in sizes]

    def of() -> lists_by_hand.Lists:
        return lists_by_hand.Lists(
            [[-count * chance.uniform(0.1, 3) for count in row] for row in tokens], tokens, relevance
        )

    return of(), of()


def as_list_tensors(table: lists_by_hand.Lists) -> tuple[ListLogprobs, list[Tensor]]:
    f64 = torch.float64

    def filled(rows: list[list[float]]) -> Tensor:
        return pad_sequence([torch.tensor(row, dtype=f64) for row in rows], batch_first=True)

    leaves = [torch.tensor(row, dtype=f64, requires_grad=True) for row in table.logprob]
    real = filled([[1.0] * len(row) for row in table.logprob]).bool()
    counts = filled([[float(count) for count in row] for row in table.tokens])
    return ListLogprobs(pad_sequence(leaves, batch_first=True), filled(table.relevance), counts, real), leaves


def slopes(loss: by_hand.Loss, policy, reference, columns: list[str]) -> list[list[float]]:
    """Central differences of the summed loss, in the order of the leaves; what is held stays as it was."""
    step, out = 1e-5, []

    def at(column: str, place: tuple[int, ...], by: float) -> float:
        moved = copy.deepcopy(policy)
        row = getattr(moved, column)
        for index in place[:-1]:
            row = row[index]
        row[place[-1]] += by
        return sum(loss(moved, reference, policy))

    def slope(column: str, *place: int) -> float:
        return (at(column, place, step) - at(column, place, -step)) / (2 * step)

    for column in columns:
        rows = getattr(policy, column)
        if rows and isinstance(rows[0], list):
            out += [[slope(column, i, j) for j in range(len(row))] for i, row in enumerate(rows)]
        else:
            out.append([slope(column, i) for i in range(len(rows))])
    return out


def gradients(total: Tensor, leaves: list[Tensor]) -> list[list[float]]:
    found = torch.autograd.grad(total, leaves, allow_unused=True)
    return [[0.0] * len(leaf) if part is None else part.tolist() for part, leaf in zip(found, leaves, strict=True)]


def agree(ours: list[list[float]], theirs: list[list[float]], tolerance: float = 2e-6) -> None:
    assert len(ours) == len(theirs)
    for row, other in zip(ours, theirs, strict=True):
        assert row == pytest.approx(other, abs=tolerance, rel=tolerance)


@pytest.mark.parametrize(("made", "written"), OF_PAIRS, ids=name)
@given(chance=draws)
@settings(max_examples=15)
def test_losses_of_pairs_are_the_formulas(made, written, chance):
    options, (policy, reference) = Options(chance), pairs(chance)
    ours = per_pair(made(options), as_tensors(policy)[0], as_tensors(reference)[0])
    assert ours.tolist() == pytest.approx(written(options)(policy, reference, policy), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize(("made", "written"), OF_PAIRS, ids=name)
@given(chance=draws)
@settings(max_examples=4)
def test_the_slope_in_every_token_is_the_formula_s(made, written, chance):
    options, (policy, reference) = Options(chance), pairs(chance)
    seen, leaves = as_tensors(policy)
    total = per_pair(made(options), seen, as_tensors(reference)[0]).sum()
    columns = ["w", "l", "divergence_w", "divergence_l"]
    agree(gradients(total, leaves), slopes(written(options), policy, reference, columns))


@pytest.mark.parametrize(("made", "written"), OF_LISTS, ids=name)
@given(chance=draws)
@settings(max_examples=25)
def test_losses_of_lists_are_the_formulas(made, written, chance):
    options, (policy, reference) = Options(chance), lists(chance)
    ours = made(options)(as_list_tensors(policy)[0], as_list_tensors(reference)[0])
    assert ours.tolist() == pytest.approx(written(options)(policy, reference, policy), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize(("made", "written"), OF_LISTS, ids=name)
@given(chance=draws)
@settings(max_examples=8)
def test_the_slope_in_every_answer_of_a_list_is_the_formula_s(made, written, chance):
    options, (policy, reference) = Options(chance), lists(chance)
    seen, leaves = as_list_tensors(policy)
    total = made(options)(seen, as_list_tensors(reference)[0]).sum()
    agree(gradients(total, leaves), slopes(written(options), policy, reference, ["logprob"]))

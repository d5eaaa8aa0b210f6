"""A loss of the preference family as a way of tuning."""

import math
from dataclasses import replace

import pytest
import torch
from tests.train.tuning import chains
from torch.testing import assert_close

from springback.errors import RefusedError
from springback.models.rows import Row, RowPair
from springback.models.tiny import tiny
from springback.train.drawn_answers import Drawn
from springback.train.pair_logprobs import pair_logprobs
from springback.train.preference import LOSSES
from springback.train.preference_step import Batch
from springback.train.sft import answer_logprobs
from springback.train.tuning.choose import tuning
from springback.train.tuning.items import pair_of
from springback.train.tuning.method import whole_batch
from springback.train.tuning.preference import Preference


def paired(index: int) -> Row:
    prompt = (5, 6, 7 + index)
    return Row(prompt, (20 + index, 21, 2), 1, 2, Row(prompt, (30, 31 + index, 32, 2), 1, 3))


ROWS = [paired(index) for index in range(12)]
HALVES = (slice(0, 2), slice(2, 4))


@pytest.fixture(scope="module")
def network():
    return tiny().network.double().requires_grad_()


@pytest.mark.parametrize("name", ["dpo", "tdpo2"])
def test_the_first_batch_of_a_chain_stands_at_its_own_reference(network, name):
    loss = Preference(LOSSES[name]())(network, ROWS, ())
    found = loss(network, ROWS[:4])
    assert found.total.item() == pytest.approx(4 * math.log(2), abs=1e-9)
    assert (found.weight, found.tokens) == (4, 4 * (3 + 4))


def test_a_row_is_chosen_and_its_other_answer_rejected(network):
    # reference-free, so the loss is the formula at this network's own log-probabilities
    method = LOSSES["simpo"]()
    (found,) = (Preference(method)(network, ROWS, ())(network, ROWS[3:4]),)
    policy = pair_logprobs(network, [RowPair(ROWS[3], ROWS[3].other)], method.needs)
    assert_close(found.total, method(policy).sum())
    assert_close(found.total.detach(), -torch.nn.functional.logsigmoid(method.beta * (policy.mean.chosen - policy.mean.rejected) - method.gamma).sum().detach())  # fmt: skip  # noqa: E501


def test_rows_that_compare_equal_keep_their_own_partners(network):
    """Two rows with the same answer and other partners: looked up by place, not by value."""
    twin = replace(ROWS[0], other=Row(ROWS[0].prompt, (40, 2), 1, 1))
    assert twin == ROWS[0]
    loss = Preference(LOSSES["simpo"]())(network, [ROWS[0], twin], ())
    assert loss(network, [ROWS[0]]).total.item() != loss(network, [twin]).total.item()


def test_a_row_without_its_other_answer_is_no_pair():
    with pytest.raises(ValueError, match="came without"):
        pair_of(Row((1,), (2,), 1, 1))


def pair_terms(network, row):
    """Log π of the row and of its other answer, by themselves."""
    return [answer_logprobs(network, [one]).sum().item() for one in (row, row.other)]


def log_ratio(network, start, row):
    return (answer_logprobs(network, [row]) - answer_logprobs(start, [row])).sum().item()


def test_labels_take_a_pair_as_two_examples_with_their_zero_point_from_the_next_prompt(llama):
    """KTO from its formula: a wanted and an unwanted example a row, mismatched answers by separate passes."""
    rows, start = chains.paired(4), llama(torch.float64)
    now = chains.moved(start)
    found = tuning("kto")(start, rows, ())(now, rows)
    examples = [(row.prompt, one.answer, one is row) for row in rows for one in (row, row.other)]
    ratio = lambda prompt, answer: log_ratio(now, start, Row(prompt, answer, 1, 0))
    turned = [next(b for p, b, _ in (*examples[i + 1 :], *examples[:i]) if p != examples[i][0]) for i in range(8)]
    drift = [ratio(prompt, answer) for (prompt, *_), answer in zip(examples, turned, strict=True)]
    z = max(0.0, sum(drift) / len(drift))
    beyond = [0.1 * (ratio(prompt, answer) - z) * (1 if wanted else -1) for prompt, answer, wanted in examples]
    assert found.total.item() == pytest.approx(sum(1 / (1 + math.exp(each)) for each in beyond), rel=1e-6)
    assert found.weight == 8
    assert found.tokens == sum(len(row.answer) + len(row.other.answer) for row in rows)


def test_lists_take_a_pair_as_a_list_of_two(llama):
    rows, network = chains.paired(4), llama(torch.float64)
    found = tuning("rrhf")(network, rows, ())(network, rows)
    expected = 0.0
    for row in rows:
        chosen, rejected = pair_terms(network, row)
        expected += max(0.0, rejected / len(row.other.answer) - chosen / len(row.answer)) - chosen
    assert found.total.item() == pytest.approx(expected, rel=1e-6)
    assert found.weight == 4


def test_a_list_of_two_is_a_pair_to_plackett_and_luce(llama):
    """NCA and InfoNCA of a list of two at the reference: log 2 by their own target, whatever the pair."""
    rows, network = chains.paired(4), llama(torch.float64)
    found = tuning("info_nca")(network, rows, ())(network, rows)
    target = [1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))]
    assert found.total.item() == pytest.approx(4 * -sum(share * math.log(1 / 2) for share in target))


def test_own_samples_are_drawn_by_place_and_stand_against_the_rejected_answer(llama):
    rows, start = chains.paired(4), llama(torch.float64)
    now = chains.moved(start)
    make = lambda: chains.way("d2o:samples=3", rows)(start, rows, ())
    whole, halves = make()(now, rows).total.item(), [make()(now, rows[half]).total.item() for half in HALVES]
    assert whole == pytest.approx(sum(halves), rel=1e-9)
    (own,) = Drawn(3, chains.LONGEST, {2}, 3)(now, Batch((1,), (RowPair(rows[1], rows[1].other),)), 0).items
    apart = [log_ratio(now, start, one) for one in own.rows]
    margin = 0.1 * sum(apart[:3]) / 3 - 0.1 * apart[3]
    assert make()(now, rows[1:2]).total.item() == pytest.approx(math.log1p(math.exp(-margin)), rel=1e-6)


def test_a_reference_that_moves_is_the_policy_again_after_so_many_steps(llama):
    rows, network = chains.paired(12), llama(torch.float64)
    losses = []
    loss = tuning("tr_dpo:every=2,alpha=1,beta=1")(network, rows, ())
    chains.tuned(network, loss, rows, each=lambda step: losses.append(step.loss))
    assert losses[0] == losses[2] == pytest.approx(math.log(2), abs=1e-12)
    assert abs(losses[1] - math.log(2)) > 1e-4


@pytest.mark.parametrize("named", ["kto", "bco", "lipo", "sampo", "tr_dpo:every=1", "d2o:samples=2", "grpo", "ppo"])
def test_the_first_steps_of_a_long_chain_are_a_short_chain_bit_for_bit(llama, named):
    rows, after = chains.paired(12), {}
    network = llama(torch.float32)
    note = lambda step: after.__setitem__(step.index, [w.detach().clone() for w in network.parameters()])
    chains.tuned(network, chains.way(named, rows)(network, rows, ()), rows, each=note)
    short = llama(torch.float32)
    weights = chains.tuned(short, chains.way(named, rows[:8])(short, rows[:8], ()), rows[:8])
    assert all(torch.equal(one, other) for one, other in zip(after[1], weights.values(), strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(after[2], weights.values(), strict=True))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_of_the_family_is_a_way_of_tuning_or_says_what_it_lacks(llama, name):
    rows, network = chains.paired(3), llama(torch.float64)
    if name == "orpo_with_prompt":
        with pytest.raises(RefusedError, match="the prompt's own tokens"):
            tuning(name)
        return
    found = chains.way(name, rows)(network, rows, ())(network, rows)
    found.total.backward()
    assert math.isfinite(found.total.item())
    assert found.weight == (6 if name == "kto" else 3)


def test_what_looks_at_a_whole_batch_says_so_and_only_that():
    told = {name for name in LOSSES if name != "orpo_with_prompt" and whole_batch(tuning(name))}
    summed = {"alpha_dpo", "beta_dpo", "dpo_shift_linear", "sampo", "bco", "bco_batch", "kto", "kto_pair", "aot",
              "aot_unpaired", "d2o"}  # fmt: skip
    assert summed <= told
    assert not told & {"dpo", "ipo", "simpo", "npo", "rrhf", "lipo", "bco_pair", "tdpo2", "tr_dpo"}
    assert whole_batch(tuning("grpo"))
    assert not whole_batch(tuning("kl_anchor"))


def test_running_statistics_go_on_from_step_to_step(llama):
    rows, start = chains.paired(4), llama(torch.float64)
    now = chains.moved(start)
    loss = tuning("beta_dpo")(start, rows, ())
    first, second = (loss(now, rows).total.item() for _ in range(2))
    margins = [log_ratio(now, start, row) - log_ratio(now, start, row.other) for row in rows]
    mean = sum(margins) / 4
    beta = [max(0.1 * (1 + 0.6 * (mean - seen)), 1e-3) for seen in (0.0, 0.1 * mean)]
    expected = [sum(math.log1p(math.exp(-each * margin)) for margin in margins) for each in beta]
    assert [first, second] == pytest.approx(expected, rel=1e-6)
    assert first != pytest.approx(second, rel=1e-6)


def test_samples_are_an_option_of_the_loss_that_draws_them():
    assert (tuning("d2o:samples=2,beta=0.3").samples, tuning("d2o:samples=2,beta=0.3").method.beta) == (2, 0.3)
    with pytest.raises(RefusedError, match="samples must be at least 1") as caught:
        tuning("d2o:samples=0")
    assert caught.value.next == "Options of d2o: samples, beta, alpha; d2o:option=value."
    with pytest.raises(RefusedError, match="no option samples"):
        tuning("dpo:samples=2")

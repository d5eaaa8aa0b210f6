"""One step of preference learning: exact at the reference, exact under accumulation, statistics saved and restored."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from springback.data.choices import Choice, Ranking
from springback.data.records import Message
from springback.fit.loop import Fit, fit
from springback.fit.masters import MasterAdamW
from springback.models.adapters import LoRA, attach, start_view
from springback.models.pair_tokens import RankedRows, item_of
from springback.models.rows import RowPair
from springback.models.tiny import tiny
from springback.models.tokens import stop_ids
from springback.train.drawn_answers import Drawn
from springback.train.preference.dpo import DPO
from springback.train.preference.family import LOSSES
from springback.train.preference_logprobs import joined, logprobs
from springback.train.preference_step import Batch, PreferenceStep, Uncured, alone, needs_of
from springback.train.reference import AdapterOff, NoReference, SecondModel, Stored, fill
from springback.train.reference_table import Places

TEXTS = [("Blue.", "Some sort of green."), ("No", "Yes, it is so."), ("One two", "Three"), ("A long answer", "B")]


def pairs(model):
    prompts = [(Message("user", f"Question {i}?"),) for i in range(len(TEXTS))]
    return tuple(item_of(model, Choice(p, c, r, "f:1")) for p, (c, r) in zip(prompts, TEXTS, strict=True))


def batch(items):
    return Batch(tuple(range(len(items))), tuple(items))


def small(seed=0):
    return tiny(seed, torch.float64, layers=1, hidden=32, heads=2, scale=0.2)


@pytest.fixture(scope="module")
def model():
    """Nothing here moves its weights."""
    found = small()
    found.network.requires_grad_(True)
    return found


@pytest.fixture(scope="module")
def other():
    return small(3).network.eval()


@pytest.fixture(scope="module")
def items(model):
    return pairs(model)


@pytest.fixture(scope="module")
def stops(model):
    return stop_ids(model)


def stored(network, items, needs=frozenset({"tokens"})):
    *_, table = fill(network, items, [batch(items)], needs)
    return Stored(table, Places.of(items))


def gradients(network):
    return torch.cat([weight.grad.flatten() for weight in network.parameters()])


def taken(step, network, parts):
    network.zero_grad()
    found = [step(network, part) for part in parts]
    for each in found:
        each.total.backward()
    return sum(each.total.item() for each in found) / sum(each.weight for each in found), gradients(network)


def test_the_first_loss_is_the_loss_at_the_reference_to_the_bit(model, items):
    for reference in (stored(model.network, items), SecondModel(small().network)):
        found = PreferenceStep(DPO(), reference)(model.network, batch(items))
        assert found.total.item() / found.weight == math.log(2)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_member_gives_one_finite_loss_and_gradient_a_row(model, items, other, stops, name):
    method = LOSSES[name]()
    if "prompt" in method.needs:
        pytest.skip("takes the prompt's own log-probabilities, which the step does not supply")
    rows = items[:2]
    if "lists" in method.needs:
        rows = tuple(RankedRows((pair.chosen, pair.rejected), (1.0, 0.0)) for pair in items[:2])
    if "labels" in method.needs:
        rows = labelled(items[:2])
    live = needs_of(method) & {"divergence", "mismatched", "samples"}
    reference = SecondModel(other) if live else stored(model.network, rows, method.needs)
    step = PreferenceStep(method, reference, draw=Drawn(2, 4, stops, 0) if "samples" in method.needs else None)
    model.network.zero_grad()
    found = step(model.network, batch(rows))
    found.total.backward()
    assert found.weight == len(rows)
    assert math.isfinite(found.total.item())
    assert bool(gradients(model.network).isfinite().all())
    step.advance()
    assert step.index == 1


def labelled(items):
    from springback.models.pair_tokens import LabelledRow

    return tuple(
        LabelledRow(row, wanted) for pair in items for row, wanted in ((pair.chosen, True), (pair.rejected, False))
    )


@pytest.mark.parametrize("name", ["dpo", "rpo", "simpo", "ipo_mean", "ld_dpo"])
def test_accumulated_micro_batches_are_one_batch(model, name, items):
    """RPO holds a token mean of each pair: where the batch is cut must not matter."""
    step = PreferenceStep(LOSSES[name](), stored(model.network, items))
    whole = batch(items)
    together, apart = (taken(step, model.network, parts) for parts in ([whole], [whole[:1], whole[1:4]]))
    assert together[0] == pytest.approx(apart[0], rel=1e-12)
    assert torch.allclose(together[1], apart[1], rtol=1e-9, atol=1e-12 * together[1].abs().max().item())


def test_a_loss_of_whole_batches_says_so_and_is_another_one_in_micro_batches(model, items, other):
    method = LOSSES["beta_dpo"]()
    assert not alone(method)
    assert alone(DPO())
    step = PreferenceStep(method, SecondModel(other))
    whole = batch(items)
    together, apart = (taken(step, model.network, parts)[0] for parts in ([whole], [whole[:2], whole[2:4]]))
    assert together != pytest.approx(apart, rel=1e-6)


def test_swapped_columns_swap_the_two_pushes(model, items):
    """d_w and d_l by the gradient of the step itself: chosen and rejected have no role or template of their own."""
    turned = tuple(RowPair(pair.rejected, pair.chosen) for pair in items)
    losses = [taken(PreferenceStep(DPO(), stored(model.network, rows)), model.network, [batch(rows)])
              for rows in (items, turned)]  # fmt: skip
    assert torch.allclose(losses[0][1], -losses[1][1], rtol=1e-9, atol=1e-12)


def test_identical_answers_move_nothing(model):
    pair = pairs(model)[0]
    same = (RowPair(pair.chosen, pair.chosen),)
    _, gradient = taken(PreferenceStep(DPO(), stored(model.network, same)), model.network, [batch(same)])
    assert gradient.abs().max().item() < 1e-12


def test_an_answer_of_its_stop_token_alone_gives_no_nan_under_a_mean(model):
    pair = pairs(model)[0]
    empty = (RowPair(pair.chosen, replace(pair.rejected, answer=pair.rejected.answer[-1:])),)
    loss, gradient = taken(PreferenceStep(LOSSES["simpo"](), NoReference()), model.network, [batch(empty)])
    assert math.isfinite(loss)
    assert bool(gradient.isfinite().all())


def test_log_probabilities_are_those_of_the_plain_network(model, items):
    found = logprobs(model.network, items, frozenset())
    for side in ("chosen", "rejected"):
        plain = [by_hand(model.network, getattr(pair, side)) for pair in items]
        assert getattr(found, side).tolist() == pytest.approx(plain, abs=1e-9)


@torch.no_grad()
def by_hand(network, row):
    logits = network(torch.tensor([[*row.prompt, *row.answer]])).logits[0].log_softmax(dim=-1)
    return sum(logits[len(row.prompt) - 1 + place, token].item() for place, token in enumerate(row.answer))


def test_statistics_go_on_by_the_whole_batch_and_come_back_from_a_checkpoint(model, items, other):
    whole = batch(items)

    def run(parts):
        step = PreferenceStep(LOSSES["bco"](), SecondModel(other))
        rows = Batch(tuple(range(8)), labelled(items))
        for part in (rows[:parts], rows[parts:8]) if parts else (rows,):
            step(model.network, part)
        step.advance()
        return step

    whole, cut = run(0), run(3)
    assert cut.statistics() == pytest.approx(whole.statistics())
    assert whole.statistics() != PreferenceStep(LOSSES["bco"](), SecondModel(other)).statistics()
    again = PreferenceStep(LOSSES["bco"](), SecondModel(other))
    again.restore(1, whole.statistics())
    assert (again.method, again.index) == (whole.method, 1)


def test_tables_of_unequal_width_are_joined_with_zeros(model, items):
    found = joined(
        [
            logprobs(model.network, items[:1], frozenset({"tokens"})),
            logprobs(model.network, items[1:], frozenset({"tokens"})),
        ]
    )
    whole = logprobs(model.network, items, frozenset({"tokens"}))
    assert torch.allclose(found.by_token.chosen, whole.by_token.chosen, atol=1e-9)
    assert torch.allclose(found.chosen, whole.chosen, atol=1e-9)


def test_a_cure_stands_between_loss_and_backward(model, items):
    """One that doubles doubles the gradient, and sees the losses of the pairs with the reference filled in."""
    seen = []

    class Twice(Uncured):
        def __call__(self, network, batch, loss, reference, read):
            found = super().__call__(network, batch, loss, reference, read)
            seen.append(loss(found.policy, reference).tolist())
            return found._replace(total=2 * found.total)

    plain, twice = (PreferenceStep(DPO(), stored(model.network, items), cure) for cure in (Uncured(), Twice()))
    one, two = (taken(step, model.network, [batch(items)])[1] for step in (plain, twice))
    assert torch.allclose(2 * one, two)
    assert seen == [[math.log(2)] * 4]


def test_the_reference_of_an_adapter_stays_where_it_was_over_ten_steps(items):
    model = small()
    attach(model.network, LoRA())
    reference = AdapterOff(model.network)
    before = reference(batch(items), frozenset())
    step = PreferenceStep(DPO(), reference)
    config = Fit(lr=1e-2)
    for done in fit(lambda part: step(model.network, part), [batch(items)] * 10, MasterAdamW(model.network), config):
        assert done.index > 0 or done.loss == math.log(2)
    after = reference(batch(items), frozenset())
    assert torch.equal(before.chosen, after.chosen)
    assert torch.equal(before.rejected, after.rejected)
    with torch.no_grad(), start_view(model.network):
        assert torch.equal(logprobs(model.network, items, frozenset()).chosen, before.chosen)
    assert done.loss < math.log(2)


def test_dropout_is_off_in_the_reference_whatever_the_network_s_mode(model, items):
    network = Dropping(small().network)
    quiet = SecondModel(network.eval())(batch(items), frozenset()).chosen
    network.train()
    assert torch.equal(SecondModel(network)(batch(items), frozenset()).chosen, quiet)
    assert network.training


class Dropping(nn.Module):
    """A network that drops a tenth of its states in training mode."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.config = inner, inner.config

    def forward(self, input_ids, position_ids=None, attention_mask=None, use_cache=None, **_):
        out = self.inner(input_ids, position_ids=position_ids, attention_mask=attention_mask, use_cache=use_cache)
        out.logits = nn.functional.dropout(out.logits, 0.1, self.training)
        return out


def test_drawn_answers_depend_on_seed_step_and_place_alone(model, items, stops):
    draw = Drawn(2, 6, stops, seed=1)
    whole = draw(model.network, batch(items), 5)
    part = draw(model.network, batch(items)[2:3], 5)
    assert part.items == whole.items[2:3]
    assert [len(item.rows) for item in whole.items] == [3] * 4
    assert whole.items[0].rows[-1] == items[0].rejected
    assert draw(model.network, batch(items), 6).items != whole.items


def test_rankings_are_read_with_their_relevance(model):
    ranking = item_of(model, Ranking((Message("user", "q"),), ("a", "bb", "c"), (5.0, 2.0, 1.0), "f:1"))
    pair = RankedRows(ranking.rows[:2], ranking.relevance[:2])
    found = logprobs(model.network, (ranking, pair), frozenset())
    assert found.relevance.tolist() == [[5.0, 2.0, 1.0], [5.0, 2.0, 2.0]]
    assert found.real.tolist() == [[True] * 3, [True, True, False]]

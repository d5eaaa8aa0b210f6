"""Passes and updates on a real (tiny) network."""

import copy

import pytest
import torch
from tests.models.tiny_networks import network, tokens

from springback.fit.masters import MasterAdamW
from springback.models.rollout import roll
from springback.models.rows import Row
from springback.models.score import answer_logits
from springback.train.policy import METHODS
from springback.train.policy.grpo import GRPO
from springback.train.policy.passes import forward, forward_quietly
from springback.train.policy.ppo import PPO
from springback.train.policy.recipe import Recipe
from springback.train.policy.updates import Learner, old_needed, updates
from springback.train.policy.value_head import ValueHead, WithValues
from springback.train.policy.written import Written

PROMPTS = [tokens(5, 1), tokens(9, 2), tokens(3, 3)]
WIDTH = 6


@pytest.fixture(scope="module")
def rows():
    """Four answers to each of three prompts, of unlike lengths."""
    found = roll(network("llama"), PROMPTS, [[4 * p + i for i in range(4)] for p in range(3)], max_new_tokens=WIDTH,
                 stop={2, *range(3, 20)})  # fmt: skip
    answers = [Row(p, one.ids, int(one.ended), 0) for p, group in zip(PROMPTS, found, strict=True) for one in group]
    assert len({len(row.answer) for row in answers}) > 2
    return answers


def batch(rows, built, *, old=True, values=False):
    real = torch.arange(WIDTH) < torch.tensor([[len(row.answer)] for row in rows])
    rewards = torch.tensor([float(row.answer[0] % 7) for row in rows], dtype=torch.float64)
    group = torch.tensor([PROMPTS.index(row.prompt) for row in rows])
    own = forward_quietly(built, rows, at_once=4, width=WIDTH).logprobs
    return Written(real, rewards, group, own if old else None, own - 0.1 * real, 0 * own if values else None)


@pytest.mark.parametrize("kind", ["llama", "granite (scaled logits)", "lfm2 (convolutions)"])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_a_pass_gives_the_tempered_log_probability_of_each_token_and_0_behind_the_end(rows, kind, temperature):
    built = network(kind).double()
    found = forward(built, rows, width=WIDTH, temperature=temperature).logprobs
    for row, own, logits in zip(rows, found, answer_logits(built, rows), strict=True):
        expected = (logits.double() / temperature).log_softmax(-1).gather(-1, torch.tensor(row.answer)[:, None])
        torch.testing.assert_close(own[: len(row.answer)], expected.squeeze(-1), rtol=0, atol=1e-9)
        assert not own[len(row.answer) :].any()


def test_the_sampler_s_log_probabilities_are_the_trainer_s():
    built = network("llama").double()
    found = roll(built, PROMPTS, [[1, 2], [3], [4, 5]], max_new_tokens=5, stop={2}, temperature=0.8)
    pairs = [(Row(p, one.ids, 0, 0), one) for p, group in zip(PROMPTS, found, strict=True) for one in group]
    own = forward(built, [row for row, _ in pairs], width=5, temperature=0.8).logprobs
    for logprobs, (_, one) in zip(own, pairs, strict=True):
        torch.testing.assert_close(logprobs[: len(one.ids)], torch.tensor(one.logprobs).double(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["llama", "granite (scaled logits)"])
def test_values_read_the_state_before_each_token_and_send_no_gradient_back(rows, kind):
    built = network(kind)
    head = ValueHead(32)
    with torch.no_grad():
        head.linear.weight.normal_(generator=torch.Generator().manual_seed(0))
    found = forward(built.requires_grad_(True), rows, width=WIDTH, head=head)
    for row, values in zip(rows, found.values, strict=True):
        states = built.get_decoder()(torch.tensor([row.prompt + row.answer[:-1]])).last_hidden_state[0]
        expected = head(states[len(row.prompt) - 1 :]).double()
        torch.testing.assert_close(values[: len(row.answer)], expected, rtol=1e-4, atol=1e-4)
    found.values.sum().backward()
    assert head.linear.weight.grad.any()
    assert all(parameter.grad is None for parameter in built.parameters())


def trained(rows, name, recipe, *, old, **options):
    built = copy.deepcopy(network("llama")).requires_grad_(True)
    method = METHODS[name](**options)
    values = "values" in method.needs
    head = ValueHead(32) if values else None
    optimizer = MasterAdamW(built)
    learner = Learner(built, WithValues(optimizer, head, rate=10.0) if head else optimizer, head)
    written = batch(rows, built, old=old, values=values)
    done = list(updates(learner, method, rows, written, method.credit(written), recipe))
    return built, done


@pytest.mark.parametrize(("name", "options"), [("grpo", {}), ("dapo", {}), ("ppo", {"whiten": False})])
def test_the_number_of_answers_at_once_changes_nothing_but_rounding(rows, name, options):
    whole, one = trained(rows, name, Recipe(at_once=12, lr=1e-3), old=True, **options)
    cut, other = trained(rows, name, Recipe(at_once=5, lr=1e-3), old=True, **options)
    assert one[0].step.loss == pytest.approx(other[0].step.loss, abs=1e-6)
    assert one[0].step.gradient_norm == pytest.approx(other[0].step.gradient_norm, rel=1e-4)
    for a, b in zip(whole.parameters(), cut.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-4)


def test_with_one_update_a_batch_the_trainer_s_pass_is_the_old_one(rows):
    """At the first update the ratio is 1, to the bit, whether π_old was read before or not."""
    recipe = Recipe(lr=1e-3, at_once=4)
    assert not old_needed(GRPO(), recipe)
    with_old, left_out = (trained(rows, "grpo", recipe, old=old) for old in (True, False))
    for _, (done,) in (with_old, left_out):
        assert done.ratio_furthest == 0
        assert done.clipped == 0
    for a, b in zip(with_old[0].parameters(), left_out[0].parameters(), strict=True):
        assert torch.equal(a, b)


def test_later_updates_on_a_batch_leave_ratio_1_and_clip(rows):
    _, done = trained(rows, "grpo", Recipe(lr=2e-2, passes=3, minibatches=2), old=True)
    assert [one.step.index for one in done] == [0, 1, 2, 3, 4, 5]
    assert done[0].ratio_furthest < 1e-5 < done[2].ratio_furthest
    assert done[-1].clipped > 0
    assert old_needed(GRPO(), Recipe(passes=2))
    assert old_needed(PPO(), Recipe())


def test_a_minibatch_in_which_nothing_is_taught_gets_no_update(rows):
    built = copy.deepcopy(network("llama")).requires_grad_(True)
    before = [parameter.clone() for parameter in built.parameters()]
    written = batch(rows, built)
    method = METHODS["dapo"]()
    flat = Written(written.real, torch.ones(12, dtype=torch.float64), written.group, written.old)
    assert not list(updates(Learner(built, MasterAdamW(built)), method, rows, flat, method.credit(flat), Recipe()))
    assert all(torch.equal(a, b) for a, b in zip(before, built.parameters(), strict=True))


def test_a_state_of_policy_and_value_head_goes_on_to_the_bit():
    def made():
        built = copy.deepcopy(network("llama")).requires_grad_(True)
        head = ValueHead(32)
        return built, head, WithValues(MasterAdamW(built), head, rate=10.0)

    def step(built, head, optimizer, seed):
        for parameter in [*built.parameters(), *head.parameters()]:
            parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
        optimizer.step(lr=1e-2, scale=1.0)
        optimizer.discard()

    one, other = made(), made()
    step(*one, 0)
    other[2].load({name: tensor.clone() for name, tensor in one[2].state().items()})
    step(*one, 1)
    step(*other, 1)
    for a, b in zip([*one[0].parameters(), *one[1].parameters()], [*other[0].parameters(), *other[1].parameters()],
                    strict=True):  # fmt: skip
        assert torch.equal(a, b)

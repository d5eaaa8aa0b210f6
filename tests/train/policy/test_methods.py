"""Each method against a slow, obvious form of itself, and the laws that all keep."""

from dataclasses import replace

import pytest
import torch

from springback.train.policy import METHODS
from springback.train.policy.dapo import DAPO
from springback.train.policy.dr_grpo import DrGRPO
from springback.train.policy.grpo import GRPO
from springback.train.policy.gspo import GSPO
from springback.train.policy.ppo import PPO
from springback.train.policy.rloo import RLOO
from springback.train.policy.written import Credit, Written

LENGTHS = (3, 1, 5, 2, 4, 4)


def case(seed=0, spread=0.3):
    """Six answers to two prompts, mixed up, of unlike lengths; and log-probabilities that have moved since."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(6, 5, generator=generator, dtype=torch.float64)
    real = torch.arange(5) < torch.tensor(LENGTHS)[:, None]
    old, reference = (draw() * 0.5 - 2).where(real, 0.0), (draw() * 0.5 - 2).where(real, 0.0)
    rewards = torch.tensor([1.0, 0.3, -0.5, 2.0, 0.0, 0.9], dtype=torch.float64)
    written = Written(real, rewards, torch.tensor([0, 1, 0, 1, 0, 1]), old, reference, draw().where(real, 0.0))
    policy = (old + spread * draw()).where(real, 0.0).requires_grad_()
    return written, policy, (written.values + 0.3 * draw()).where(real, 0.0)


def made(name, **options):
    method = METHODS[name](**options)
    return replace(method, length=8) if isinstance(method, DrGRPO) else method


def value(method, written, policy, values=None):
    found = method(policy, written, method.credit(written), values)
    return found.total / found.weight


def clipped(ratio, advantage, low, high):
    return -min(ratio * advantage, max(1 - low, min(1 + high, ratio)) * advantage)


def by_hand(written, policy, advantages, low, high):
    """The surrogate of every token, one at a time."""
    tokens = {}
    for i, length in enumerate(LENGTHS):
        for t in range(length):
            ratio = float((policy[i, t] - written.old[i, t]).exp())
            tokens[i, t] = clipped(ratio, float(advantages[i]), low, high)
    return tokens


def standardised(written):
    found = torch.zeros(6, dtype=torch.float64)
    for prompt in (0, 1):
        here = written.group == prompt
        rewards = written.rewards[here]
        found[here] = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
    return found


def test_grpo_by_hand():
    written, policy, _ = case()
    tokens = by_hand(written, policy, standardised(written), 0.2, 0.2)
    x = policy - written.reference
    for (i, t), _ in list(tokens.items()):
        tokens[i, t] += 0.04 * float((-x[i, t]).exp() - 1 + x[i, t])
    answers = [sum(tokens[i, t] for t in range(n)) / n for i, n in enumerate(LENGTHS)]
    assert float(value(GRPO(), written, policy)) == pytest.approx(sum(answers) / 6)


def test_dapo_by_hand():
    written, policy, _ = case()
    tokens = by_hand(written, policy, standardised(written), 0.2, 0.28)
    assert float(value(DAPO(), written, policy)) == pytest.approx(sum(tokens.values()) / sum(LENGTHS))


def test_dr_grpo_by_hand():
    written, policy, _ = case()
    means = torch.stack([written.rewards[written.group == g].mean() for g in written.group.tolist()])
    tokens = by_hand(written, policy, written.rewards - means, 0.2, 0.2)
    assert float(value(DrGRPO(length=8), written, policy)) == pytest.approx(sum(tokens.values()) / (6 * 8))


def test_gspo_by_hand():
    written, policy, _ = case(spread=1e-3)
    advantages = standardised(written)
    answers = []
    for i, n in enumerate(LENGTHS):
        ratio = float((policy[i, :n] - written.old[i, :n]).mean().exp())
        answers.append(clipped(ratio, float(advantages[i]), 3e-4, 4e-4))
    assert float(value(GSPO(), written, policy)) == pytest.approx(sum(answers) / 6)


def test_rloo_at_the_weights_that_wrote_has_the_gradient_of_reinforce_on_whole_answers():
    written, policy, _ = case(spread=0.0)
    method = RLOO(beta=0.2)
    value(method, written, policy).backward()
    returns = written.rewards - 0.2 * (written.old - written.reference).sum(dim=1)
    for i in range(6):
        others = [j for j in range(6) if written.group[j] == written.group[i] and j != i]
        advantage = returns[i] - returns[others].mean()
        expected = (-advantage / 6 * written.real[i]).double()
        torch.testing.assert_close(policy.grad[i], expected)


def test_rloo_clips_the_sequence_s_ratio_and_only_where_asked():
    written, policy, _ = case()
    ratio = (policy - written.old).sum(dim=1).exp().detach()
    credit = RLOO(beta=0.0).credit(written)
    free, bound = RLOO(beta=0.0), RLOO(beta=0.0, epsilon=0.1)
    torch.testing.assert_close(free(policy, written, credit).ratio[:, 0], ratio)
    assert not free(policy, written, credit).clipped.any()
    expected = sum(clipped(float(r), float(a), 0.1, 0.1) for r, a in zip(ratio, credit.advantages[:, 0], strict=True))
    assert float(bound(policy, written, credit).total) == pytest.approx(expected)


def test_ppo_by_hand():
    written, policy, values = case()
    method = PPO(whiten=False, beta=0.1)
    total = 0.0
    for i, n in enumerate(LENGTHS):
        rewards = [-0.1 * float(written.old[i, t] - written.reference[i, t]) for t in range(n)]
        rewards[-1] += float(written.rewards[i])
        v = [float(written.values[i, t]) for t in range(n)] + [0.0]
        running = 0.0
        for t in reversed(range(n)):
            running = rewards[t] + v[t + 1] - v[t] + 0.95 * running
            ratio, goal = float((policy[i, t] - written.old[i, t]).exp()), running + v[t]
            near = v[t] + max(-0.2, min(0.2, float(values[i, t]) - v[t]))
            total += clipped(ratio, running, 0.2, 0.2)
            total += 0.1 * 0.5 * max((float(values[i, t]) - goal) ** 2, (near - goal) ** 2)
    assert float(value(method, written, policy, values)) == pytest.approx(total / sum(LENGTHS))


def test_ppo_follows_its_target_of_divergence_by_at_most_a_fifth_of_the_horizon_s_share():
    method = PPO(beta=0.1, target=6.0, horizon=100.0)
    assert method.after(12.0, 50).beta == pytest.approx(0.1 * (1 + 0.2 * 0.5))
    assert method.after(6.6, 50).beta == pytest.approx(0.1 * (1 + 0.1 * 0.5))
    assert method.after(0.0, 50).beta == pytest.approx(0.1 * (1 - 0.2 * 0.5))
    assert PPO(beta=0.1).after(99.0, 50).beta == 0.1


@pytest.mark.parametrize("name", METHODS)
def test_micro_batches_of_unequal_token_counts_add_up_to_the_whole_batch(name):
    written, policy, values = case()
    method = made(name)
    credit = method.credit(written)
    whole = torch.autograd.grad((found := method(policy, written, credit, values)).total / found.weight, policy)[0]
    parts = [torch.tensor(part) for part in ([4], [0, 5, 2], [1, 3])]
    found = [method(policy[p], written.part(p), credit.part(p), values[p]) for p in parts]
    weight = sum(each.weight for each in found)
    cut = torch.autograd.grad(sum(each.total for each in found) / weight, policy)[0]
    torch.testing.assert_close(cut, whole)


@pytest.mark.parametrize("name", METHODS)
def test_what_stands_behind_an_answer_s_end_changes_nothing(name):
    written, policy, values = case()
    method = made(name)
    wider = lambda x, filler: torch.cat([x, torch.full((6, 2), filler, dtype=x.dtype)], dim=1)
    padded = Written(
        wider(written.real, False), written.rewards, written.group, wider(written.old, 0.0),
        wider(written.reference, 0.0), wider(written.values, 0.0),
    )  # fmt: skip
    again = value(method, padded, wider(policy.detach(), 0.0), wider(values, 0.0))
    assert float(again) == pytest.approx(float(value(method, written, policy, values)))


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_answers_changes_nothing(name):
    written, policy, values = case()
    method, order = made(name), torch.tensor([3, 0, 5, 4, 1, 2])
    mixed = value(method, written.part(order), policy.detach()[order], values[order])
    assert float(mixed) == pytest.approx(float(value(method, written, policy, values)))


@pytest.mark.parametrize("name", METHODS)
def test_at_the_weights_that_wrote_nothing_is_clipped_and_old_may_be_left_out(name):
    written, policy, values = case(spread=0.0)
    method = made(name, beta=0.0)
    credit = method.credit(written)
    one, other = method(policy, written, credit, values), method(policy, replace(written, old=None), credit, values)
    assert torch.equal(one.ratio, torch.ones_like(one.ratio))
    assert not one.clipped.any()
    torch.testing.assert_close(one.total, other.total)
    gradients = [torch.autograd.grad(each.total, policy)[0] for each in (one, other)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("name", METHODS)
def test_a_better_answer_becomes_likelier_and_a_worse_one_less_likely(name):
    written, policy, _ = case(spread=0.0)
    method = made(name, beta=0.0)
    flat = replace(written, values=torch.zeros_like(written.old), rewards=torch.tensor([1.0, 0, 0, 0, 0, 0]).double())
    value(method, flat, policy, torch.zeros_like(written.old)).backward()
    assert (policy.grad[0][written.real[0]] < 0).all()
    assert (policy.grad[4][written.real[4]] > 0).all()


@pytest.mark.parametrize("name", [name for name, kind in METHODS.items() if "groups" in kind.needs])
def test_groups_without_spread_teach_nothing(name):
    written, policy, values = case()
    equal = replace(written, rewards=torch.full((6,), 0.1, dtype=torch.float64))
    found = made(name, beta=0.0)(policy, equal, made(name, beta=0.0).credit(equal), values)
    assert float(found.total) == 0
    assert not torch.autograd.grad(found.total, policy)[0].any()


def test_dapo_leaves_a_group_without_spread_out_of_its_mean():
    written, policy, _ = case()
    flat = replace(written, rewards=written.rewards.where(written.group == 0, 1.0))
    credit = DAPO().credit(flat)
    assert credit.kept.tolist() == [True, False, True, False, True, False]
    assert DAPO()(policy, flat, credit).weight == 3 + 5 + 4


def test_dapo_punishes_the_last_tokens_before_the_limit_and_no_earlier_ones():
    written, _, _ = case()
    assert DAPO(cache=2, length=5).too_long(written).tolist() == [0, 0, 1, 0, 0.5, 0.5]


def test_a_method_that_would_divide_by_nothing_says_so():
    written, policy, values = case()
    with pytest.raises(ValueError, match="constant length"):
        value(DrGRPO(), written, policy)
    with pytest.raises(ValueError, match="values"):
        value(PPO(), replace(written, values=None), policy)
    with pytest.raises(ValueError, match="values"):
        PPO()(policy, written, Credit(written.old, torch.ones(6, dtype=torch.bool)), values)


def test_answers_without_a_token_or_a_finite_reward_are_refused():
    real = torch.tensor([[True], [False]])
    with pytest.raises(ValueError, match="must have a token"):
        Written(real, torch.zeros(2), torch.tensor([0, 0]))
    with pytest.raises(ValueError, match="must be finite"):
        Written(real[:1], torch.tensor([float("nan")]), torch.tensor([0]))

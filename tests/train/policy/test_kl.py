"""The estimators: their values on known samples, and their gradients by enumeration over a small vocabulary."""

import pytest
import torch

from springback.train.policy import kl
from springback.train.policy.grpo import GRPO
from springback.train.policy.rloo import RLOO
from springback.train.policy.written import Written

LOGITS = torch.tensor([0.3, -1.2, 0.8, 0.1], dtype=torch.float64)
REFERENCE = torch.tensor([0.4, 0.1, 0.2, 0.3], dtype=torch.float64)


def ones(x):
    return torch.ones_like(x)


def test_values_on_three_samples():
    x = torch.tensor([[0.10, -0.05, 0.30]], dtype=torch.float64)
    means = [float(estimate(x, ones(x)).mean()) for estimate in (kl.k1, kl.k2, kl.k3, kl.k3_plus, kl.k3_ratio)]
    assert means == pytest.approx([0.11666667, 0.01708333, 0.01564225, 0.01564225, 0.01564225], abs=5e-9)


def expected(estimate):
    """E_π of the estimator's value and of its gradient by the logits, over every token of the vocabulary."""
    logits = LOGITS.clone().requires_grad_()
    logprobs = logits.log_softmax(0)[None]
    old = logprobs.detach()
    by_token = estimate(logprobs - REFERENCE.log(), (logprobs - old).exp())
    return float((old.exp() * by_token).sum()), torch.autograd.grad((old.exp() * by_token).sum(), logits)[0]


def divergence(*, forward):
    """KL(π‖ref) or KL(ref‖π) and its gradient, by autograd on the sum over the vocabulary."""
    logits = LOGITS.clone().requires_grad_()
    policy, reference = logits.log_softmax(0), REFERENCE.log()
    value = (policy.exp() * (policy - reference)).sum() if forward else (REFERENCE * (reference - policy)).sum()
    return float(value), torch.autograd.grad(value, logits)[0]


@pytest.mark.parametrize("estimate", [kl.k1, kl.k3, kl.k3_plus, kl.k3_ratio], ids=lambda each: each.__name__)
def test_the_expected_value_is_the_divergence(estimate):
    assert expected(estimate)[0] == pytest.approx(divergence(forward=True)[0], abs=1e-12)


def test_k2_is_no_estimate_of_the_divergence():
    assert expected(kl.k2)[0] != pytest.approx(divergence(forward=True)[0], rel=0.02)


@pytest.mark.parametrize("estimate", [kl.k2, kl.k3_plus, kl.k3_ratio], ids=lambda each: each.__name__)
def test_the_expected_gradient_is_that_of_the_divergence_from_the_reference(estimate):
    torch.testing.assert_close(expected(estimate)[1], divergence(forward=True)[1], rtol=0, atol=1e-12)


def test_k1_in_the_loss_does_nothing():
    torch.testing.assert_close(expected(kl.k1)[1], torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-12)


def test_the_expected_gradient_of_k3_is_that_of_the_other_divergence():
    torch.testing.assert_close(expected(kl.k3)[1], divergence(forward=False)[1], rtol=0, atol=1e-12)
    assert not torch.allclose(expected(kl.k3)[1], divergence(forward=True)[1], atol=1e-2)


def score_function(estimate):
    """E_π of the detached estimate times ∇log π: what a penalty in the reward does."""
    logits = LOGITS.clone().requires_grad_()
    logprobs = logits.log_softmax(0)
    x = (logprobs - REFERENCE.log())[None].detach()
    return torch.autograd.grad((logprobs.exp().detach() * estimate(x, ones(x)) * logprobs).sum(), logits)[0]


def test_in_the_reward_k1_is_right_and_k2_and_k3_are_not():
    true = divergence(forward=True)[1]
    torch.testing.assert_close(score_function(kl.k1), true, rtol=0, atol=1e-12)
    assert not torch.allclose(score_function(kl.k2), true, atol=1e-2)
    assert not torch.allclose(score_function(kl.k3), true, atol=1e-2)


def test_a_penalty_whose_gradient_would_be_ignored_is_refused():
    with pytest.raises(ValueError, match="its gradient there is 0 on average"):
        GRPO(kl="k1", kl_in="loss")
    with pytest.raises(ValueError, match="kl_in=reward takes"):
        RLOO(kl="k3_plus", kl_in="reward")


def test_the_penalty_stands_in_one_place_only():
    real = torch.tensor([[True, True, False]])
    some = torch.tensor([[-1.0, -2.0, 0.0]], dtype=torch.float64)
    written = Written(real, torch.tensor([1.0]).double(), torch.tensor([0]), old=some, reference=2 * some)
    loss, reward = GRPO(beta=0.1), GRPO(beta=0.1, kl="k1", kl_in="reward")
    assert not kl.in_reward(loss, written).any()
    assert not kl.in_loss(reward, some, written).any()
    torch.testing.assert_close(kl.in_reward(reward, written), torch.tensor([[0.1, 0.2, 0.0]]).double())
    assert float(kl.after_penalty(reward, written)) == pytest.approx(0.7)
    assert kl.in_loss(loss, some, written)[0, 2] == 0


def test_without_a_reference_a_penalty_is_refused_and_no_penalty_needs_none():
    written = Written(torch.ones(1, 1, dtype=torch.bool), torch.tensor([1.0]).double(), torch.tensor([0]))
    policy = torch.tensor([[-1.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match="reference"):
        kl.in_loss(GRPO(), policy, written)
    assert not kl.in_loss(GRPO(beta=0.0), policy, written).any()

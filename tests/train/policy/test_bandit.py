"""Every method solves a bandit whose best policy is known, and settles where its penalty's closed form says."""

import pytest
import torch
from tests.train.policy.bandit import REFERENCE, REWARDS, Course, distance, k3_fixed_point, reward_optimum, solve

from springback.train.policy import METHODS

BETA = 0.5
FREE = Course(steps=120, draws=256, lr=0.1)
BOUND = Course(steps=200, draws=1024)
IN_REWARD = {"beta": BETA, "kl": "k1", "kl_in": "reward"}


@pytest.mark.parametrize("name", METHODS)
def test_without_a_penalty_the_best_answer_wins_within_120_steps(name):
    assert float(solve(METHODS[name](beta=0.0), FREE)[REWARDS.argmax()]) > 0.98


@pytest.mark.parametrize("name", METHODS)
def test_with_k1_in_the_reward_the_policy_settles_at_the_tilted_reference_within_200_steps(name):
    assert distance(solve(METHODS[name](**IN_REWARD), BOUND), reward_optimum(BETA)) < 2e-3


@pytest.mark.parametrize("kl", ["k2", "k3_plus", "k3_ratio"])
def test_in_the_loss_these_settle_there_too(kl):
    found = solve(METHODS["dr_grpo"](beta=BETA, kl=kl), BOUND)
    assert distance(found, reward_optimum(BETA)) < 0.01


def test_k3_in_the_loss_settles_at_its_own_fixed_point_and_not_at_the_tilted_reference():
    found = solve(METHODS["dr_grpo"](beta=BETA, kl="k3"), BOUND)
    assert distance(found, k3_fixed_point(BETA)) < 0.01
    assert distance(found, reward_optimum(BETA)) > 0.1


def test_grpo_s_standardised_rewards_move_its_fixed_point():
    found = solve(METHODS["grpo"](beta=BETA), BOUND)
    assert distance(found, k3_fixed_point(BETA, standardised=True)) < 0.01
    assert distance(found, k3_fixed_point(BETA)) > 0.02


def test_several_updates_a_batch_settle_at_the_same_policy():
    found = solve(METHODS["ppo"](**IN_REWARD), Course(steps=150, draws=1024, updates=4))
    assert distance(found, reward_optimum(BETA)) < 5e-3


def test_the_closed_forms_solve_their_own_equations():
    best, fixed = reward_optimum(BETA), k3_fixed_point(BETA)
    gain = lambda policy: float((policy * (REWARDS - BETA * (policy / REFERENCE).log())).sum())
    near = torch.tensor([0.01, -0.01, 0.0, 0.0, 0.0]).double()
    assert gain(best) > max(gain(best + near), gain(best - near))
    mean = (fixed * REWARDS).sum()
    torch.testing.assert_close(fixed * (REWARDS - mean), BETA * (fixed - REFERENCE), rtol=0, atol=1e-9)
    assert float(fixed.sum()) == pytest.approx(1)

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from springback.train.policy import advantages as A

FOUR = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
ONE_PROMPT = torch.zeros(4, dtype=torch.long)


@pytest.mark.parametrize(
    ("way", "value"), [(A.standardised, 0.8658754), (A.centred, 0.5), (A.leave_one_out, 2 / 3)],
    ids=lambda each: getattr(each, "__name__", ""),
)  # fmt: skip
def test_two_right_answers_of_four(way, value):
    signs = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(way(FOUR, ONE_PROMPT), value * signs, rtol=0, atol=1e-6)


def test_leave_one_out_is_the_reward_less_the_mean_of_the_others():
    rewards = torch.tensor([3.0, 1.0, 2.0, 7.0, 5.0], dtype=torch.float64)
    group = torch.tensor([0, 0, 0, 1, 1])
    torch.testing.assert_close(A.leave_one_out(rewards, group), torch.tensor([1.5, -1.5, 0.0, 2.0, -2.0]).double())


@pytest.mark.parametrize("way", [A.standardised, A.centred, A.leave_one_out], ids=lambda each: each.__name__)
def test_answers_belong_together_by_prompt_wherever_they_stand(way):
    """Group slicing of [p1, p2] · n would pair an answer with another prompt's."""
    rewards = torch.tensor([1.0, 10.0, 0.0, 20.0, 0.5, 15.0], dtype=torch.float64)
    found = way(rewards, torch.tensor([7, 3, 7, 3, 7, 3]))
    together = way(rewards[[0, 2, 4, 1, 3, 5]], torch.tensor([0, 0, 0, 1, 1, 1]))
    torch.testing.assert_close(found, together[[0, 3, 1, 4, 2, 5]])


@pytest.mark.parametrize("way", [A.standardised, A.centred, A.leave_one_out], ids=lambda each: each.__name__)
@pytest.mark.parametrize("reward", [0.0, 0.1, 1 / 3, 1e9])
def test_a_group_without_spread_and_a_group_of_one_give_exactly_nothing(way, reward):
    rewards = torch.full((4,), reward, dtype=torch.float64)
    assert not way(rewards, torch.tensor([0, 0, 0, 1])).any()
    assert not way(rewards.float(), torch.tensor([0, 0, 0, 1])).any()


def test_a_small_spread_is_a_spread():
    rewards = 1e-7 * FOUR
    assert (A.group_std(rewards, ONE_PROMPT) > 0).all()


@given(some.lists(some.floats(-100, 100), min_size=2, max_size=8), some.floats(-50, 50))
def test_a_constant_added_to_all_rewards_changes_nothing_and_advantages_sum_to_nothing(rewards, constant):
    values, group = torch.tensor(rewards).double(), torch.zeros(len(rewards), dtype=torch.long)
    for way in (A.standardised, A.centred, A.leave_one_out):
        torch.testing.assert_close(way(values + constant, group), way(values, group), rtol=1e-6, atol=1e-6)
        assert float(way(values, group).sum()) == pytest.approx(0, abs=1e-6)


def test_generalised_advantages_by_hand():
    column = lambda *numbers: torch.tensor([numbers], dtype=torch.float64)
    real = torch.ones(1, 3, dtype=torch.bool)
    found = A.generalised(column(0, 0, 1), column(0.2, 0.4, 0.7), real, gamma=1.0, lam=0.95)
    torch.testing.assert_close(found, column(0.75575, 0.585, 0.3), rtol=0, atol=1e-12)


def test_generalised_advantages_with_lambda_1_are_returns_less_values_and_do_not_see_padding():
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.rand(2, 3, 6, generator=generator, dtype=torch.float64)
    real = torch.arange(6) < torch.tensor([[6], [2], [4]])
    clean = rewards.where(real, 0.0)
    found = A.generalised(clean, values, real, gamma=1.0, lam=1.0)
    torch.testing.assert_close(found, (A.to_go(clean) - values).where(real, 0.0))
    noisy = A.generalised(clean, values.where(real, 99.0), real, gamma=0.9, lam=0.5)
    torch.testing.assert_close(noisy, A.generalised(clean, values, real, gamma=0.9, lam=0.5))


def test_the_reward_stands_on_the_last_real_token_never_behind_it():
    real = torch.tensor([[True, True, True], [True, False, False], [True, True, False]])
    found = A.at_the_end(torch.tensor([5.0, 6.0, 7.0]), real)
    assert found.tolist() == [[0, 0, 5], [6, 0, 0], [0, 7, 0]]


def test_rewards_to_go():
    found = A.to_go(torch.tensor([[1.0, 2.0, 4.0]]), gamma=0.5)
    assert found.tolist() == [[1 + 1 + 1, 2 + 2, 4]]


def test_whitening_counts_real_tokens_only():
    real = torch.tensor([[True, True, False], [True, False, False]])
    values = torch.tensor([[1.0, 2.0, 9.0], [3.0, 9.0, 9.0]], dtype=torch.float64)
    found = A.whitened(values, real)
    torch.testing.assert_close(found, torch.tensor([[-1.0, 0, 0], [1, 0, 0]]).double(), rtol=0, atol=1e-7)
    assert not A.whitened(torch.ones(2, 3), real).any()

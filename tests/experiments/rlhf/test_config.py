import pytest

from springback.errors import RefusedError
from springback.experiments.rlhf.config import Rlhf, settled
from springback.experiments.rlhf.rewards.choose import Terms, reward_named
from springback.models.rollout import Completion


def test_what_is_left_open_is_filled_in():
    real, tiny = settled(Rlhf(reward="r.py")), settled(Rlhf(reward="r.py", tiny=True))
    assert (real.batch, real.max_new_tokens, real.learning_rate) == (64, 64, 1e-5)
    assert (tiny.batch, tiny.steps, tiny.dtype, tiny.device) == (16, 8, "float32", "cpu")
    assert settled(Rlhf(reward="r.py", tuner="lora")).learning_rate == 1e-4


def test_the_tiny_model_has_a_reward_of_its_own_that_counts_letters():
    asked = settled(Rlhf(tiny=True))
    reward = reward_named(asked.reward, Terms(timeout=1.0, remote=False, device="cpu"))
    assert reward([Completion("p", text, (), (), ended=True) for text in ("aB1z", "", "ABC")]) == [0.5, 0.0, 0.0]


def test_the_penalty_may_be_given_beside_the_method():
    asked = settled(Rlhf(reward="r.py", method="grpo:epsilon=0.1", beta=0.0, kl="k2", kl_in="loss"))
    assert asked.method == "grpo:epsilon=0.1,beta=0.0,kl=k2,kl_in=loss"
    assert settled(Rlhf(reward="r.py", method="rloo", beta=0.5)).method == "rloo:beta=0.5"


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"reward": None}, "--reward"),
        ({"steps": 0}, "--steps"),
        ({"temperature": 0.0}, "--temperature"),
        ({"rank": 4}, "--rank"),
        ({"minibatches": 9}, "--minibatches"),
        ({"method": "grpo:kl=k2", "kl": "k3"}, "--kl"),
        ({"held_out": -1}, "--held-out"),
        ({"tiny": True, "model": "m"}, "--tiny"),
        ({"reward_timeout": 0.0}, "--reward-timeout"),
    ],
)
def test_what_cannot_hold_is_refused_by_its_option(options, where):
    with pytest.raises(RefusedError) as refused:
        settled(Rlhf(**{"reward": "r.py"} | options))
    assert refused.value.where == where

import pytest

from springback.errors import RefusedError
from springback.train.policy.choose import method_named, stated
from springback.train.policy.dapo import DAPO
from springback.train.policy.ppo import PPO


def test_a_name_with_options():
    assert method_named("dapo:high=0.3,cache=16,kl=k2") == DAPO(high=0.3, cache=16, kl="k2")
    assert method_named("ppo:whiten=false") == PPO(whiten=False)
    assert stated(PPO())["lam"] == 0.95


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("gpro", "no policy method gpro"),
        ("grpo:eps=1", "no option eps"),
        ("grpo:beta", "is no option"),
        ("grpo:beta=much", "must be a number"),
        ("dapo:cache=1.5", "must be a whole number"),
        ("grpo:kl=k1", "its gradient there is 0"),
        ("grpo:epsilon=2", "clip range"),
    ],
)
def test_what_cannot_hold_is_refused_by_name(asked, told):
    with pytest.raises(RefusedError, match=told) as refused:
        method_named(asked)
    assert refused.value.where == f"--method {asked}"

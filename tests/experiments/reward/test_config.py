import pytest

from springback.errors import RefusedError
from springback.experiments.reward.config import Reward, settled


def test_tiny_fills_in_what_is_left_open_and_nothing_else():
    assert settled(Reward(tiny=True), None).learning_rate == 1e-3
    assert settled(Reward(tiny=True, learning_rate=1e-4), None).learning_rate == 1e-4
    assert settled(Reward(), "x").learning_rate == 2e-5
    assert settled(Reward(tuner="lora"), "x").learning_rate == 2e-4
    assert (settled(Reward(tiny=True), None).device, settled(Reward(), "x").device) == ("cpu", "auto")


def test_steps_cover_every_row_once_an_epoch_and_the_last_one_may_be_smaller():
    design = settled(Reward(batch=8), "x")
    assert [design.steps(rows) for rows in (7, 8, 9, 24)] == [1, 1, 2, 3]
    assert settled(Reward(batch=8, epochs=2.5), "x").steps(10) == 4
    assert settled(Reward(batch=8, epochs=2.5), "x").examples(10) == 25


def test_readings_are_at_both_ends_and_eight_between():
    design = settled(Reward(), "x")
    assert design.readings(3) == (0, 1, 2, 3)
    assert design.readings(80) == (0, 10, 20, 30, 40, 50, 60, 70, 80)
    assert settled(Reward(evaluate_every=7), "x").readings(15) == (0, 7, 14, 15)
    assert design.checkpoints(25) == (10, 20, 25)
    assert settled(Reward(checkpoint_every=1), "x").checkpoints(3) == (1, 2, 3)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"batch": 0}, "--batch"),
        ({"accumulate": 3}, "--accumulate"),
        ({"epochs": 0.0}, "--epochs"),
        ({"learning_rate": float("inf")}, "--learning-rate"),
        ({"evaluate_every": 0}, "--evaluate-every"),
        ({"checkpoint_every": 0}, "--checkpoint-every"),
        ({"warmup_steps": -1}, "--warmup-steps"),
        ({"rank": 4}, "--rank"),
        ({"tiny": True, "model": "x"}, "--tiny"),
    ],
)
def test_what_cannot_hold_is_refused_by_name(options, where):
    with pytest.raises(RefusedError) as refused:
        settled(Reward(**options), "x")
    assert refused.value.where == where

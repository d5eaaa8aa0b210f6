"""The walk and its end on a stand-in of known law."""

import pytest
from tests.experiments.rlhf.climber import Climber, KilledError, design

from springback.experiments.audit.progress import Progress
from springback.experiments.rlhf.finish import finish
from springback.experiments.rlhf.walk import Laboratory, walk
from springback.store.run import Run

DESIGN = design(steps=5, checkpoint_every=2)


def walked(path, climber, asked=DESIGN):
    with Run.open(path, command="rlhf", asked={}, identity={}) as run:
        steps = list(walk(asked, run, climber, Progress({}, {}, say=None)))
        finish(asked, run)
        found = {(kind, key): body for kind in run.kinds() for key, body in run.read(kind).items()}
    return steps, {key: {name: x for name, x in body.items() if name != "cost"} for key, body in found.items()}


def test_the_stand_in_is_a_laboratory():
    assert isinstance(Climber(), Laboratory)


def test_held_out_prompts_are_read_on_the_start_and_on_the_trained_model_and_the_difference_is_the_climb(tmp_path):
    _, records = walked(tmp_path, Climber())
    climb = 5 * 1.15
    reward = records["result", "result"]["held_out"]["reward"]
    assert reward["before"]["estimate"] == pytest.approx(0.1)
    assert reward["difference"]["estimate"] == pytest.approx(climb)
    assert "rose: +5.75" in records["result", "result"]["sentence"]


@pytest.mark.parametrize(
    "dies",
    [("read", "before"), ("write", 0), ("learn", 0), ("learn", 1), ("keep", 2), ("write", 2), ("learn", 3),
     ("keep", 5), ("read", "after")],
    ids=lambda each: f"{each[0]} {each[1]}",
)  # fmt: skip
def test_killed_anywhere_and_taken_up_the_records_are_those_of_an_uninterrupted_run(tmp_path, dies):
    _, whole = walked(tmp_path / "whole", Climber())
    disk = {}
    with pytest.raises(KilledError):
        walked(tmp_path / "torn", Climber(disk, dies=dies))
    _, again = walked(tmp_path / "torn", Climber(disk))
    assert again == whole


def test_what_was_written_and_rewarded_is_never_written_or_rewarded_again(tmp_path):
    disk = {}
    with pytest.raises(KilledError):
        walked(tmp_path, Climber(disk, dies=("learn", 3)))
    second = Climber(disk)
    walked(tmp_path, second)
    assert [call for call in second.calls if call[0] == "write"] == [("write", 4)]
    assert [call for call in second.calls if call[0] == "learn"] == [("learn", 2), ("learn", 3), ("learn", 4)]
    assert ("read", "before") not in second.calls


def test_with_a_lost_checkpoint_all_steps_are_learnt_again_from_their_stored_answers(tmp_path):
    _, whole = walked(tmp_path / "whole", Climber())
    with pytest.raises(KilledError):
        walked(tmp_path / "torn", Climber(dies=("learn", 3)))
    second = Climber()
    _, again = walked(tmp_path / "torn", second)
    assert [call for call in second.calls if call[0] == "learn"] == [("learn", step) for step in range(5)]
    assert again == whole


def signs(path, **law):
    _, records = walked(path, Climber(**law), design(steps=12))
    return {key: body for (kind, key), body in records.items() if kind == "alarm"}


def test_no_alarm_fires_where_only_the_reward_grows(tmp_path):
    assert signs(tmp_path) == {}


def test_growing_answers_fire_at_the_first_step_at_which_the_window_is_half_as_long_again(tmp_path):
    """Window means are 10(1 + g(t − 1.5)) and 10(1 + 1.5 g): their ratio passes 1.5 from step 7.x on for g = 0.16."""
    (sign,) = signs(tmp_path, grows=0.16).values()
    ratio = lambda last: (1 + 0.16 * (last - 1.5)) / (1 + 0.16 * 1.5)
    expected = next(last for last in range(7, 12) if ratio(last) > 1.5)
    assert (sign["name"], sign["step"]) == ("length", expected)
    assert sign["reward_change"]["estimate"] > 0


def test_repetition_fires(tmp_path):
    (sign,) = signs(tmp_path, repeats=0.05).values()
    assert (sign["name"], sign["step"]) == ("repetition", 8)


def test_an_independent_scorer_that_falls_while_the_reward_rises_fires_and_one_that_rises_does_not(tmp_path):
    assert set(signs(tmp_path / "a", watch=-0.08)) == {"watch"}
    assert signs(tmp_path / "b", watch=0.08) == {}


def test_too_few_steps_say_so(tmp_path):
    _, records = walked(tmp_path, Climber(grows=9.0), design(steps=7))
    assert records["result", "result"]["alarm_heard"] is False
    assert not [key for key in records if key[0] == "alarm"]

import pytest

from springback.errors import RefusedError
from springback.experiments.resist.config import Resist, Training, settled


def test_tiny_fills_in_what_is_left_open_and_nothing_else():
    assert (settled(Resist(tiny=True)).held_out, settled(Resist()).held_out) == (12, 48)
    assert settled(Resist(tiny=True, samples=32, device="cuda")).samples == 32
    assert settled(Resist(tiny=True)).device == "cpu"
    assert settled(Resist(tiny=True, device="cuda")).device == "cuda"


def test_one_pass_over_the_answers_is_the_default_number_of_steps():
    assert settled(Resist(samples=64, batch=8, slice_size=8)).steps == 8
    assert settled(Resist(samples=64, batch=8, slice_size=8, steps=20)).steps == 20


@pytest.mark.parametrize(("steps", "at"), [(8, (0, 1, 2, 4, 8)), (12, (0, 1, 2, 4, 8, 12)), (2, (0, 1, 2))])
def test_a_curve_is_read_at_the_powers_of_two_and_at_its_ends(steps, at):
    assert settled(Resist(steps=steps)).readings == at


def test_pairs_and_trainings_are_counted():
    design = settled(Resist(slices=4))
    assert len(design.pairs) == 6
    assert len(list(design.trainings(0))) == 16
    assert Training(0, 0, 2).role == "placebo"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"slices": 1}, "--slices"),
        ({"slice_size": 20, "batch": 8}, "--slice-size"),
        ({"samples": 20, "batch": 8}, "--samples"),
        ({"held_out": 1}, "--held-out"),
        ({"steps": 1}, "--steps"),
        ({"batch": 0}, "--batch"),
        ({"learning_rate": 0.0}, "--learning-rate"),
        ({"seeds": (1, 1)}, "--seeds"),
        ({"rank": 4}, "--rank"),
        ({"tiny": True, "model": "x"}, "--tiny"),
    ],
)
def test_what_cannot_hold_is_refused_by_name(options, names):
    with pytest.raises(RefusedError) as refused:
        settled(Resist(**options))
    assert refused.value.where == names

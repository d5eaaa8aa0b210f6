"""Axes become trainings; what cannot hold is refused by name."""

import pytest

from springback.errors import RefusedError
from springback.experiments.study.config import Study


def test_a_star_has_every_loss_without_a_cure_and_every_cure_before_the_first_loss():
    study = Study(losses=("dpo", "simpo"), cures=("none", "normalised", "anchor"), data=("film",), seeds=(0,))
    assert study.methods() == [
        ("dpo", "none"), ("simpo", "none"), ("dpo", "normalised"), ("dpo", "anchor")
    ]  # fmt: skip


def test_a_full_grid_has_every_loss_with_every_cure():
    study = Study(losses=("dpo", "simpo"), cures=("none", "anchor"), data=("film",), seeds=(3,), grid="full")
    assert set(study.methods()) == {(loss, cure) for loss in ("dpo", "simpo") for cure in ("none", "anchor")}
    assert len(study.methods()) == 4


def test_the_first_seed_of_everything_comes_before_the_second():
    study = Study(losses=("dpo",), cures=("none",), data=("film", "one_token"), seeds=(5, 1))
    assert [(one.seed, one.data) for one in study.combinations()] == [
        (5, "film"), (5, "one_token"), (1, "film"), (1, "one_token")
    ]  # fmt: skip
    assert len({one.name for one in study.combinations()}) == 4


def test_the_options_of_a_method_keep_their_commas():
    """As the command line hands them over, cut at every comma."""
    study = Study(losses=("simpo:beta=2", "gamma=1", "dpo"), cures=("none", "normalised:form=unit", "inner=adam"))
    assert study.losses == ("simpo:beta=2,gamma=1", "dpo")
    assert study.cures == ("none", "normalised:form=unit,inner=adam")


def test_every_training_reads_after_its_first_step_and_at_its_end_and_never_warms_up():
    study = Study(steps=4, batch=4, pairs=8)
    design = study.design(study.combinations()[0], "a.jsonl", "b.jsonl")
    assert design.readings(design.total(8)) == (0, 1, 4)
    assert (design.warmup_steps, design.data, design.held_out) == (0, "a.jsonl", "b.jsonl")


@pytest.mark.parametrize(("steps", "rows"), [(9, 2), (1, 32), (7, 5)])
def test_a_small_set_is_gone_through_as_often_as_it_takes(steps, rows):
    study = Study(tiny=True, steps=steps, batch=8)
    assert study.design(study.combinations()[0], "a", "b").total(rows) == steps


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"cures": ("normalised",)}, "--cures"), ({"losses": ("dpo", "dpo")}, "--losses"), ({"data": ()}, "--data"),
        ({"pairs": 1}, "--pairs"), ({"steps": 0}, "--steps"), ({"rank": 16}, "--rank"),
        ({"learning_rate": -1.0}, "--learning-rate"),
    ],
)  # fmt: skip
def test_what_cannot_hold_is_refused_by_its_option(options, where):
    with pytest.raises(RefusedError) as refused:
        Study(**options)
    assert refused.value.where == where

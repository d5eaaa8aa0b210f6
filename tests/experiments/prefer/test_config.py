"""Options and what they come to; what a loss needs against data, reference and batches."""

import pytest

from springback.errors import RefusedError
from springback.experiments.prefer.config import Prefer, settled
from springback.experiments.prefer.offers import kind_of, require_fit, require_whole_batches, way_of
from springback.train.preference.family import LOSSES


def design(**options):
    return settled(Prefer(**options), "data.jsonl")


def needs(name):
    return LOSSES[name].needs


def test_defaults_depend_on_the_tuner_and_on_tiny():
    assert (design().learning_rate, design(tuner="lora").learning_rate, design(tiny=True).learning_rate) == (
        5e-6, 1e-4, 1e-3,
    )  # fmt: skip
    assert (design().dtype, design(tiny=True).dtype, design(dtype="float32").dtype) == (
        "bfloat16",
        "float32",
        "float32",
    )


def test_steps_are_those_of_all_epochs_the_last_one_smaller_or_as_many_as_asked():
    assert design(epochs=2, batch=8).total(20) == 5
    assert design(epochs=2, batch=8, steps=3).total(20) == 3
    assert design().readings(16) == (0, 2, 4, 6, 8, 10, 12, 14, 16)
    assert design(read_every=7).readings(16) == (0, 7, 14, 16)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"batch": 0}, "--batch"),
        ({"accumulate": 9}, "--accumulate"),
        ({"learning_rate": 0.0}, "--learning-rate"),
        ({"rank": 4}, "--rank"),
        ({"tiny": True, "model": "x"}, "--tiny"),
        ({"read_pairs": 1}, "--read-pairs"),
        ({"max_length": 1}, "--max-length"),
        ({"epochs": 0}, "--epochs"),
    ],
)
def test_what_cannot_hold_is_refused_by_name(options, where):
    with pytest.raises(RefusedError) as refused:
        design(**options)
    assert refused.value.where == where


def test_what_a_loss_learns_from_is_in_its_type():
    assert [kind_of(needs(name)) for name in ("dpo", "lipo", "kto", "d2o")] == ["pairs", "lists", "labels", "pairs"]


@pytest.mark.parametrize(
    ("loss", "offers"), [("dpo", "labels"), ("kto", "lists"), ("lipo", "labels"), ("orpo_with_prompt", "pairs")]
)
def test_a_loss_that_the_data_cannot_feed_is_refused_with_those_that_it_can(loss, offers):
    with pytest.raises(RefusedError) as refused:
        require_fit(needs(loss), offers, design(loss=loss))
    assert refused.value.where == "--loss"
    if (loss, offers) == ("dpo", "labels"):
        assert "kto" in refused.value.next


@pytest.mark.parametrize(("loss", "offers"), [("dpo", "lists"), ("kto", "pairs"), ("lipo", "pairs"), ("d2o", "pairs")])
def test_data_that_serves_is_let_through(loss, offers):
    require_fit(needs(loss), offers, design(loss=loss))


@pytest.mark.parametrize(
    ("loss", "options", "way"),
    [
        ("dpo", {}, "precomputed"),
        ("dpo", {"tuner": "lora"}, "precomputed"),
        ("dpo", {"tuner": "lora", "reference_way": "adapter_off"}, "adapter_off"),
        ("dpo", {"reference_way": "model"}, "model"),
        ("simpo", {}, "none"),
        ("tdpo1", {}, "model"),
        ("tdpo1", {"tuner": "lora"}, "adapter_off"),
        ("kto", {"tuner": "lora", "reference": "other"}, "model"),
        ("tr_dpo", {}, "model"),
        ("d2o", {}, "model"),
    ],
)
def test_the_reference_comes_from_where_the_loss_allows(loss, options, way):
    assert way_of(needs(loss), design(loss=loss, **options)) == way


@pytest.mark.parametrize(
    ("loss", "options", "where"),
    [
        ("simpo", {"reference": "other"}, "--reference"),
        ("simpo", {"reference_logprobs": "file"}, "--reference-logprobs"),
        ("simpo", {"reference_way": "model"}, "--reference-way"),
        ("dpo", {"reference_way": "adapter_off"}, "--reference-way"),
        ("dpo", {"reference_way": "adapter_off", "tuner": "lora", "reference": "other"}, "--reference-way"),
        ("dpo", {"reference_way": "model", "reference_logprobs": "file"}, "--reference-logprobs"),
        ("tdpo2", {"reference_way": "precomputed"}, "--reference-way"),
        ("kto", {"reference_logprobs": "file"}, "--reference-logprobs"),
        ("tr_dpo", {"tuner": "lora"}, "--tuner"),
        ("tr_dpo", {"reference_way": "precomputed"}, "--reference-way"),
        ("tr_dpo", {"reference_logprobs": "file"}, "--reference-way"),
    ],
)
def test_a_way_that_cannot_work_or_has_no_use_is_refused(loss, options, where):
    with pytest.raises(RefusedError) as refused:
        way_of(needs(loss), design(loss=loss, **options))
    assert refused.value.where == where


def test_micro_batches_are_refused_where_a_pair_s_loss_depends_on_its_batch():
    require_whole_batches(LOSSES["dpo"](), design(accumulate=2))
    require_whole_batches(LOSSES["aot"](), design())
    with pytest.raises(RefusedError, match="whole batch"):
        require_whole_batches(LOSSES["aot"](), design(accumulate=2))


def test_drawn_answers_are_asked_for_only_where_a_loss_looks_at_them():
    require_fit(needs("d2o"), "pairs", design(loss="d2o", samples=2))
    with pytest.raises(RefusedError, match="no use"):
        require_fit(needs("dpo"), "pairs", design(samples=2))

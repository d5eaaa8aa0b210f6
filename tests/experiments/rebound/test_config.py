"""What a rebound run is asked: which sweeps that makes, what they are called, what is refused."""

import re

import pytest

from springback.errors import RefusedError
from springback.experiments.audit.config import Audit
from springback.experiments.rebound.config import Axes, asked, sweeps, tuner_of

MANY = Axes(tuners=("full", "lora:4"), align_mixes=(0, 25), methods=("plain", "replay:share=0.5"))


def planned(axes=None, models=("m",), **audit):
    return sweeps(models, axes or Axes(), Audit(**audit))


def refused(axes=None, models=("m",), **audit):
    with pytest.raises(RefusedError) as found:
        planned(axes, models, **audit)
    return found.value


def test_without_an_axis_there_is_one_sweep_and_it_is_the_audit_itself():
    (only,) = planned(reverse_with="replay", align_mix=20)
    assert only.audit == Audit(model="m", reverse_with="replay", align_mix=20)
    assert (only.name, only.varied) == ("00", {})


def test_every_combination_comes_once_models_slowest_and_the_first_values_first():
    found = planned(MANY, ("a", "b"))
    assert len(found) == 16
    assert [one.audit.model for one in found] == ["a"] * 8 + ["b"] * 8
    assert len({one.audit for one in found}) == 16
    first = {"model": "a", "tuner": "full", "align_mix": 0, "reverse_with": "plain"}
    assert found[0].varied == first
    assert all(set(one.varied) == set(first) for one in found)


def test_an_axis_of_one_value_changes_the_audit_and_varies_nothing():
    (only,) = planned(Axes(methods=("replay",), tuners=("lora:4",)))
    assert (only.audit.reverse_with, only.audit.tuner, only.audit.rank) == ("replay", "lora", 4)
    assert only.varied == {}


def test_an_axis_left_open_keeps_the_audits_own_option():
    found = planned(Axes(align_mixes=(0, 50)), tuner="lora", rank=4, reverse_mix=25)
    assert {(one.audit.tuner, one.audit.rank, one.audit.reverse_mix) for one in found} == {("lora", 4, 25)}


def test_same_stands_for_the_data_itself_among_files_to_reverse_on():
    found = planned(Axes(reversals=("same", "other.jsonl")))
    assert [one.audit.reversal_data for one in found] == [None, "other.jsonl"]


@pytest.mark.parametrize(
    "model", ["../../etc/passwd", "org/name@main", "C:\\a b\\..", "모델", "x" * 300, "-", "a\nb;$(c)"]
)
def test_a_sweeps_name_is_one_safe_path_component(model):
    for one in planned(Axes(methods=("plain", "kl_anchor:weight=0.5")), ("other", model)):
        assert re.fullmatch(r"[0-9]{2,}[A-Za-z0-9.-]*[A-Za-z0-9]", one.name)
        assert len(one.name) <= 80
        assert ".." not in one.name.split("-")


def test_names_are_distinct_also_where_letters_are_lost_or_cut_or_differ_in_case_only():
    models = ("모델", "모형", "x" * 200 + "a", "x" * 200 + "b", "Model", "model")
    names = [one.name.lower() for one in planned(models=models)]
    assert len(set(names)) == len(models)


def test_a_comma_between_the_options_of_a_method_does_not_cut_it():
    axes = Axes(methods=("constrained:first=0.5", "until=3", "plain", "replay", "kl_anchor:weight=2"))
    assert axes.methods == ("constrained:first=0.5,until=3", "plain", "replay", "kl_anchor:weight=2")


@pytest.mark.parametrize(("text", "found"), [("full", ("full", 8)), ("lora", ("lora", 8)), ("lora:3", ("lora", 3))])
def test_a_tuner_is_full_or_lora_with_its_rank(text, found):
    assert tuner_of(text) == found


@pytest.mark.parametrize("text", ["lora:", "lora:0", "lora:x", "full:3", "ia3", ""])
def test_another_tuner_is_refused_with_what_is_known(text):
    with pytest.raises(RefusedError, match="full and lora:RANK"):
        Axes(tuners=(text,))


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"methods": ("plain", "plain")}, "--methods"),
        ({"tuners": ("lora", "lora:8")}, "--tuners"),
        ({"align_mixes": (0, 101)}, "--align-mixes"),
        ({"reverse_mixes": (-1,)}, "--reverse-mixes"),
        ({"tolerance": 0.0}, "--tolerance"),
        ({"tolerance": float("nan")}, "--tolerance"),
        ({"pretraining_tokens": (0.0,)}, "--pretraining-tokens"),
    ],
)
def test_values_that_cannot_hold_are_refused_by_the_name_of_their_option(options, where):
    with pytest.raises(RefusedError) as found:
        Axes(**options)
    assert found.value.where == where


@pytest.mark.parametrize(
    ("axes", "audit", "where"),
    [
        (Axes(methods=("plain",)), {"reverse_with": "replay"}, "--methods"),
        (Axes(tuners=("full",)), {"tuner": "lora"}, "--tuners"),
        (Axes(align_mixes=(0,)), {"align_mix": 10}, "--align-mixes"),
        (Axes(reverse_mixes=(0,)), {"reverse_mix": 10}, "--reverse-mixes"),
        (Axes(reversals=("same",)), {"reversal_data": "x.jsonl"}, "--reversals"),
        (Axes(pretraining_tokens=(1e9, 2e9)), {}, "--pretraining-tokens"),
        (Axes(reversals=("same", "x.jsonl"), reverse_mixes=(0, 50)), {}, "--reverse-mix"),
    ],
)
def test_what_would_be_left_out_unsaid_is_refused(axes, audit, where):
    assert refused(axes, **audit).where == where


def test_a_model_named_twice_is_refused():
    assert refused(models=("a", "a")).where == "--models"


def test_pretraining_tokens_go_to_the_models_in_their_order():
    found = planned(Axes(pretraining_tokens=(1e9, 3e9), align_mixes=(0, 50)), ("a", "b"))
    assert [one.pretraining_tokens for one in found] == [1e9, 1e9, 3e9, 3e9]


def test_the_same_question_is_the_same_however_the_model_was_given():
    assert asked(("m",), Axes(), Audit(model="m")) == asked(("m",), Axes(), Audit())

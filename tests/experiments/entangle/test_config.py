"""Options that cannot hold, or would be without effect, are refused by name."""

import pytest

from springback.errors import RefusedError
from springback.experiments.entangle.config import Entangle, settled
from springback.experiments.entangle.run import asked_of


@pytest.mark.parametrize(
    ("options", "where"),
    [({"batch": 0}, "--batch"), ({"pairs": 0}, "--pairs"), ({"lr": (1e-5,)}, "--lr"),
     ({"verify": True, "lr": (0.0,)}, "--lr"), ({"verify": True, "lr": (1e-5, 1e-5)}, "--lr"),
     ({"optimizer": "adamw"}, "--optimizer"), ({"verify": True, "clip": 0.0}, "--clip"),
     ({"verify": True, "weight_decay": -0.1}, "--weight-decay"), ({"rank": 4}, "--rank"),
     ({"rule": "cosine<1"}, "--rule"), ({"rule": "nonsense"}, "--rule"), ({"tiny": True, "model": "x"}, "--tiny"),
     ({"probes": 0, "probe_tokens": 3}, "--probe-tokens"), ({"max_length": 0}, "--max-length")],
)  # fmt: skip
def test_what_cannot_hold_is_refused_by_its_option(options, where):
    with pytest.raises(RefusedError) as refused:
        settled(Entangle(**options))
    assert refused.value.where == where


def test_rates_are_of_the_optimiser_and_ascend():
    assert settled(Entangle(verify=True, lr=(1e-3, 1e-5))).lr == (1e-5, 1e-3)
    assert settled(Entangle(verify=True, optimizer="adamw")).lr == (1e-8, 1e-7, 1e-6)
    assert settled(Entangle()).lr == ()


def test_the_tiny_model_may_be_asked_for_by_name():
    assert settled(Entangle(model="tiny")) == settled(Entangle(tiny=True))


def test_another_filter_is_no_other_question():
    assert asked_of(Entangle(filter="a.jsonl", rule="cosine<1")) == asked_of(Entangle())
    assert asked_of(Entangle(batch=4)) != asked_of(Entangle())

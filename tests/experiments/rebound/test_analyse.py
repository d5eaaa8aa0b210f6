"""All records of a run from those of its sweeps."""

import json

import pytest
from tests.experiments.rebound.planted import Planted, Spring

from springback.experiments.audit.config import Audit
from springback.experiments.rebound.analyse import analyse

SMALL = Audit(align_sizes=(256,), reverse_sizes=(8, 16, 32, 64), pairs=72, samples=24, neutral=12, arms="all",
              layers="none", forced_tokens=(0,))  # fmt: skip
KINDS = {"cell", "stiffness", "interference", "closest_return", "overshoot", "price", "agreement", "sweep",
         "comparison", "verdict"}  # fmt: skip


def records(*laws, **more):
    swept = [Planted(Spring(audit=SMALL, **law)).swept(f"0{i}", reverse_with=f"method {i}", **more)
             for i, law in enumerate(laws)]  # fmt: skip
    return {(kind, key): body for kind, key, body in analyse(swept, tolerance=0.06, parameters={})}


@pytest.fixture(scope="module")
def two():
    return records({}, {"draw": 1})


def test_every_sweep_has_one_record_of_each_kind_and_the_verdict_comes_last(two):
    assert {kind for kind, _ in two} == KINDS
    for kind in KINDS - {"cell", "interference", "comparison", "verdict"}:
        assert [key for found, key in two if found == kind] == ["00", "01"]
    assert list(two)[-1] == ("verdict", "verdict")


def test_a_spring_springs_back_and_its_return_is_met(two):
    verdict = two["verdict", "verdict"]
    assert (verdict["label"], verdict["definition_3_6"]["reached"]) == ("springs_back", True)
    assert verdict["reportable"]


def test_the_records_are_json_without_nan_and_equal_sweeps_give_equal_ones(two):
    assert json.dumps(list(two.values()), allow_nan=False)
    assert records({}, {"draw": 1}) == two


def test_what_may_differ_between_two_equal_runs_is_left_out_of_the_cells(two):
    cells = [body for (kind, _), body in two.items() if kind == "cell"]
    assert len(cells) == 2 * len(Planted(Spring(audit=SMALL)).measured["cell"])
    assert not [body for body in cells if "cost" in body]


def test_where_there_is_no_spring_none_is_found():
    law = {"gain": 0.0, "s_a": 0.0, "s_p": 0.0, "c2": 1.0, "kl": dict.fromkeys((0, 8, 16, 32, 64), 0.001), "draw": 3}
    found = records(law)
    assert found["verdict", "verdict"]["label"] in ("inconclusive", "not_aligned")
    assert found["verdict", "verdict"]["definition_3_6"]["reached"] is None
    assert found["stiffness", "00"]["R"]["estimate"] is None
    assert found["price", "00"]["half_life"]["estimate"] is None
    assert found["interference", "00/0"]["predicted"] != "helps"


def test_a_scorer_at_chance_leaves_margin_and_distribution_and_says_why():
    found = records({"scored": False})
    assert found["overshoot", "00"]["score"]["estimate"] is None
    assert "AUC" in found["overshoot", "00"]["score"]["why"]
    assert found["overshoot", "00"]["margin"]["estimate"] is not None
    assert found["closest_return", "00"]["examples"] == 32

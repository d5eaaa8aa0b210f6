from dataclasses import replace

import pytest
from tests.experiments.audit.stand_in import Spring

from springback.experiments.audit.contrasts import contrasts
from springback.experiments.audit.readings import Place, Readings

EXACT = Spring(noise=0.0, back={8: 0.25, 32: 1.0, 64: 1.5}, benign_gain=0.002, benign_fall=0.001, start_fall=0.003)


@pytest.fixture(scope="module")
def margin():
    found = contrasts(EXACT.readings())
    return lambda name: found[f"margin/{name}/0"].value


def test_each_contrast_is_the_arithmetic_of_its_cells(margin):
    known = {
        "gain/main/128/0": 0.009,
        "gain/benign/128/0": 0.002,
        "gain_beyond_benign/main/128/0": 0.007,
        "fall/main/128/32": -0.009,
        "fall/benign/128/32": -0.001,
        "fall/from_start/0/32": -0.003,
        "fall/continuation/128/32": -0.0009,
        "fall_beyond_benign/main/128/32": -0.008,
        "fall_beyond_start/main/128/32": -0.006,
        "fall_beyond_continuation/main/128/32": -0.0081,
        "half_undone/main/128/32": 0.0045,
        "overshoot/main/128/64": 0.0045,
        "slope/main/128/8": -0.00225,
        "steeper/main/128/8": -0.000675,
        "undone/main/128/32": 1.0,
        "undone/main/32/8": 0.25,
        "undone/benign/128/32": 1 / 9,
        "undone/from_start/128/32": 1 / 3,
        "undone/continuation/128/32": 0.1,
    }
    assert {name: margin(name).estimate for name in known} == pytest.approx(known)


def test_a_slope_is_per_optimiser_step():
    readings = EXACT.readings()
    two = {key: replace(cell, steps=2 * cell.steps) for key, cell in readings.cells.items()}
    once, half = (
        contrasts(replace(readings, cells=c))["margin/slope/main/128/8/0"].value for c in (readings.cells, two)
    )
    assert once.estimate == pytest.approx(2 * half.estimate)


def test_differences_are_paired_so_what_items_share_does_not_widen_them():
    found = contrasts(Spring().readings())["margin/gain/main/128/0/0"]
    assert found.value.high - found.value.low < 0.004  # unpaired: margins spread by .02, so about .016


def test_only_items_read_at_every_cell_count():
    readings = EXACT.readings()
    cell = readings.cells[0, Place("main", 128)]
    start = readings.cells[0, Place("main")].series["score"]
    scores = {i: start[i] + 0.125 for i in start if i % 2}
    cells = {**readings.cells, (0, Place("main", 128)): replace(cell, series={**cell.series, "score": scores})}
    found = contrasts(replace(readings, cells=cells))
    score = found["score/gain/main/128/0/0"].value
    assert (score.n, score.low, score.high) == (24, pytest.approx(0.125), pytest.approx(0.125))
    assert found["margin/gain/main/128/0/0"].value.n == 48


def test_an_arm_that_failed_is_named_and_the_others_stand():
    readings = EXACT.readings()
    cells = {key: cell for key, cell in readings.cells.items() if key[1] != Place("benign", 128, 32)}
    found = contrasts(replace(readings, cells=cells))
    assert found["margin/fall_beyond_benign/main/128/32/0"].value.why == "0/benign/128/32 was not measured"
    assert found["margin/fall_beyond_benign/main/128/8/0"].value.measured


def test_a_degenerate_cell_takes_its_score_and_leaves_its_margin():
    found = contrasts(replace(EXACT, degenerate=(Place("main", 128, 32),)).readings())
    assert "one word" in found["score/fall/main/128/32/0"].value.why
    assert found["margin/fall/main/128/32/0"].value.measured


def test_over_three_seeds_the_pooled_contrast_is_the_mean_of_the_seeds():
    found = contrasts(Spring(seeds=(0, 1, 2)).readings())
    name = "margin/fall_beyond_benign/main/128/32"
    seeds = [found[f"{name}/{s}"].value.estimate for s in range(3)]
    pooled = found[f"{name}/all"]
    assert pooled.value.estimate == pytest.approx(sum(seeds) / 3)
    assert (pooled.value.n, pooled.value.over) == (3, "seeds")
    assert f"{name}/all" not in contrasts(Spring(seeds=(0, 1)).readings())


def test_four_times_the_pairs_halve_the_smallest_detectable_difference():
    few, many = (
        contrasts(Spring(pairs=n, read=("margin",)).readings())["margin/gain/main/128/0/0"].smallest_detectable
        for n in (200, 800)
    )
    assert many / few == pytest.approx(0.5, abs=0.06)


def test_a_share_of_a_gain_that_may_be_nothing_is_not_measured():
    found = contrasts(Spring(gain=0.0, back={}).readings())["margin/undone/main/128/32/0"]
    assert "includes 0" in found.value.why
    assert found.json()["value"] == {"estimate": None, "why": found.value.why}


def test_a_second_draw_of_the_start_is_the_noise_floor():
    readings = Spring().readings()
    start = readings.cells[0, Place("main")]
    places = readings.shape.places | {Place("noise")}
    shape = replace(readings.shape, arms=readings.shape.arms | {"noise"}, places=places)
    found = contrasts(replace(readings, shape=shape, cells={**readings.cells, (0, Place("noise")): start}))
    assert found["score/noise/noise/0/0/0"].value.estimate == 0


def test_readings_are_built_from_stored_records_alone():
    kinds = {
        "cell": {
            "0/main/0/0": {"phase": "start", "state": {"name": "answers"}},
            "0/main/16/0": {"phase": "aligned", "align": {"steps": 2, "tokens": 90}, "state": {"name": "answers"}},
            "0/main/16/8": {
                "phase": "reversed",
                "align": {"steps": 2},
                "reverse": {"steps": 1, "tokens": 44},
                "state": {"name": "degenerate", "why": "one word"},
            },
        },
        "pair": {
            f"{cell}/{i}": {"cell": cell, "index": i, "margin": m, "wanted_bits": 40.0, "wanted_bytes": 10}
            for cell, m in (("0/main/0/0", 0.0), ("0/main/16/0", 0.01), ("0/main/16/8", 0.005))
            for i in range(12)
        },
        "sample": {"0/main/0/0/0": {"cell": "0/main/0/0", "index": 0, "score": None}},
        "divergence": {
            "0/main/16/0/start/0": {"cell": "0/main/16/0", "along": "start", "index": 0, "bits": [1.0, 3.0]},
            "0/main/16/0/own/0": {"cell": "0/main/16/0", "along": "own", "index": 0, "bits": [9.0]},
        },
        "scorer": {"scorer": {"reportable": False, "why": "AUC 0.5"}},
    }
    readings = Readings.from_records(lambda kind: kinds.get(kind, {}), {"cells": list(kinds["cell"])})
    assert (readings.shape.aligned, readings.shape.reversed, readings.seeds) == ((16,), (8,), (0,))
    assert readings.score_why == "AUC 0.5"
    aligned, after = readings.cells[0, Place("main", 16)], readings.cells[0, Place("main", 16, 8)]
    assert (aligned.steps, aligned.tokens, aligned.degenerate) == (2, 90, None)
    assert (after.steps, after.tokens, after.degenerate) == (1, 44, "one word")
    assert aligned.series["kl"] == {0: 2.0}
    assert aligned.series["gamma"][0] == -0.5
    assert readings.cells[0, Place("main")].series["score"] == {}
    assert contrasts(readings)["margin/undone/main/16/8/0"].value.estimate == pytest.approx(0.5)

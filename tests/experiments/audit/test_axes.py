from dataclasses import replace

import pytest
from tests.experiments.audit.stand_in import Spring

from springback.experiments.audit.analyse import analyse
from springback.experiments.audit.readings import Cell, Place, Readings
from springback.stats.measured import Measured


def axes(readings: Readings) -> dict:
    return {key: body for kind, key, body in analyse(readings) if kind == "axis"}


def level(estimate: float, reach: float, unit: str = "probability of wanted") -> dict:
    return Measured(estimate, estimate - reach, estimate + reach, n=48, over="prompts", unit=unit).json()


def prefill(last: float) -> dict:
    """The start at .42, the aligned model at .66 without forced tokens and at `last` after eight."""
    rows = {"0/main/0/0": {0: 0.42, 8: 0.43}, "0/main/128/0": {0: 0.66, 8: last}}
    return {
        f"{model}/{k}": {"model": model, "forced_tokens": k, "score": level(score, 0.05)}
        for model, curve in rows.items()
        for k, score in curve.items()
    }


def layers(curve: list[float], reach: float = 0.05, placebo: float = 0.0) -> dict:
    return {
        f"start_into_aligned/{3 * i}": {
            "direction": "start_into_aligned",
            "layer": 3 * i,
            "layers": 30,
            "recovered": level(share, reach, "share"),
            "placebo": level(placebo, reach, "share"),
        }
        for i, share in enumerate(curve)
    }


def shaped(readings: Readings, weights: list[float], place: Place) -> Readings:
    """Readings whose KL at a place is spent along the answer as the weights say."""
    cell = readings.cells[0, place]
    bits = {i: tuple(w * (1 + 0.1 * (i % 3)) for w in weights) for i in cell.bits}
    return replace(readings, cells={**readings.cells, (0, place): Cell(cell.series, bits, cell.steps)})


def test_all_four_axes_are_there_each_with_placebos_and_records():
    found = axes(Spring().readings())
    assert list(found) == ["token", "layer", "rebound_behaviour", "rebound_distribution"]
    for body in found.values():
        assert body["placebos"]
        assert all("name" in p and "estimate" in p for p in body["placebos"])
        assert body["verdict"]
        assert "estimate" in body


def test_the_rebound_of_behaviour_carries_the_placebos_in_its_own_unit():
    body = axes(Spring(noise=0.001).readings())["rebound_behaviour"]
    assert (body["verdict"], body["unit"]) == ("springs back", "share of the gain")
    assert body["estimate"] == pytest.approx(1.0, abs=0.1)
    placebos = {p["name"]: p["estimate"] for p in body["placebos"]}
    assert placebos == pytest.approx({"benign-tuned model": 1 / 9, "start": 1 / 9, "benign continuation": 0.1}, abs=0.1)
    assert "contrast:margin/undone/main/128/32/0" in body["records"]


def test_a_placebo_that_was_not_run_is_named():
    body = axes(Spring(arms=("main",)).readings())["rebound_behaviour"]
    assert {p["name"] for p in body["placebos"]} == {"benign-tuned model", "start", "benign continuation"}
    assert all("was not run" in p["why"] for p in body["placebos"])


@pytest.mark.parametrize(
    ("returned", "verdict", "reached"),
    [
        (0.0, "cannot tell", False),
        (0.1, "moves back, not half way", False),
        (0.9, "returns", True),
        (-0.3, "not reached", False),
    ],
)
def test_the_distribution_returns_by_as_much_as_was_planted(returned, verdict, reached):
    body = axes(Spring(returned=returned).readings())["rebound_distribution"]
    assert (body["verdict"], body["closest_return"]["reached"]) == (verdict, reached)
    assert body["estimate"] == pytest.approx(returned, abs=0.03)
    if returned > 0:
        closest = body["closest_return"]
        assert closest["kl"] == pytest.approx(1 - returned, abs=0.03)
        assert closest["tokens"] == 22 * closest["examples"]
        assert closest["steps"] == closest["examples"] // 8


def test_behaviour_and_distribution_may_contradict_each_other():
    body = axes(Spring(returned=-0.3).readings())
    assert body["rebound_behaviour"]["verdict"] == "springs back"
    assert body["rebound_distribution"]["verdict"] == "not reached"
    headline = list(analyse(Spring(returned=-0.3).readings()))[-1][2]["headline"]
    assert headline == "The behaviour springs back; the distribution does not."


def test_an_alignment_in_the_first_tokens_is_shallow_only_beyond_benign_tuning():
    flat, early = [1.0] * 12, [6.0, 4.0, 2.0] + [0.01] * 9
    place, benign = Place("main", 128), Place("benign", 128)
    readings = Spring().readings()
    alone = shaped(shaped(readings, early, place), flat, benign)
    alike = shaped(shaped(readings, early, place), early, benign)
    assert axes(alone)["token"]["verdict"] == "shallow"
    assert axes(alike)["token"]["verdict"] == "cannot tell"
    assert axes(shaped(readings, flat, place))["token"]["verdict"] == "not shallow"
    assert axes(alone)["token"]["estimate"] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(("last", "verdict"), [(0.60, "not shallow"), (0.44, "shallow"), (0.49, "cannot tell")])
def test_the_prefill_curve_decides_whether_it_outlives_forced_tokens(last, verdict):
    body = axes(replace(Spring().readings(), prefill=prefill(last)))["token"]
    assert body["verdict"] == verdict
    assert body["prefill"]["forced_tokens"] == 8
    assert body["prefill"]["above_start"]["estimate"] == pytest.approx(last - 0.43)
    assert "prefill:0/main/128/0/8" in body["records"]


def test_half_of_the_layers_is_read_between_the_layers_around_it():
    curve = [0.0, 0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.0]
    body = axes(replace(Spring().readings(), layers=layers(curve)))["layer"]
    assert body["estimate"] == pytest.approx(13.5)
    assert (body["low"], body["high"]) == (pytest.approx(12.75), pytest.approx(14.25))
    assert (body["verdict"], body["layers"]) == ("half near 14", 30)
    wide = axes(replace(Spring().readings(), layers=layers(curve, reach=0.35)))["layer"]
    assert wide["verdict"].endswith("wide")


def test_a_late_layer_is_called_late_and_a_placebo_that_does_as_much_takes_the_verdict():
    late = [0.0] * 9 + [1.0]
    assert axes(replace(Spring().readings(), layers=layers(late)))["layer"]["verdict"] == "late"
    body = axes(replace(Spring().readings(), layers=layers(late, placebo=0.9)))["layer"]
    assert body["verdict"].startswith("cannot tell")


def test_layers_that_were_not_reportable_are_not_measured_with_the_reason():
    record = {"direction": "start_into_aligned", "layer": 0, "layers": 30, "placebo": {"estimate": None, "why": "-"}}
    record["recovered"] = {"estimate": None, "why": "the change of the margin includes 0"}
    body = axes(replace(Spring().readings(), layers={"start_into_aligned/0": record}))["layer"]
    assert body["verdict"] == "not measured"
    assert "includes 0" in body["sentence"]


def test_without_a_reversal_the_rebound_axes_say_not_measured():
    body = axes(Spring(reversed=(), arms=("main", "benign")).readings())
    assert body["rebound_behaviour"]["verdict"] == body["rebound_distribution"]["verdict"] == "not measured"

from tests.report.example_run import Example
from tests.report.reading import read

from springback.report.evidence import Evidence
from springback.report.sections import depth

RUN = Example(sizes=(64,), reversals=(8,), samples=1, pairs=1)


def card(name: str, **changed) -> depth.Card:
    evidence = Evidence({**RUN.records(), **changed}, RUN.meta())
    return {"layer": depth.layer, "prefill": depth.prefill, "position": depth.position}[name](evidence)


def test_kl_by_position_is_read_along_the_models_own_answers_with_the_benign_profile_beside_it():
    found = card("position")
    spoken = read(found.chart).all("svg")[0].attributes["aria-label"]
    first = RUN.records()["position"]["0/main/64/0/1"]["kl_to_start"]["estimate"]
    assert "KL(model‖start)" in found.explained
    assert f"aligned: 1: {first:.3f}" in spoken
    assert "benign: 1: " in spoken
    assert "not measured" not in found.note


def test_a_placebo_that_was_not_run_is_named():
    positions = {k: b for k, b in RUN.records()["position"].items() if "benign" not in b["cell"]}
    assert "Placebo (benign-tuned model): not measured." in card("position", position=positions).note


def test_prefill_has_the_starts_own_curve_beside_the_aligned_one():
    spoken = read(card("prefill").chart).all("svg")[0].attributes["aria-label"]
    for model in ("0/main/0/0", "0/main/64/0"):
        body = RUN.records()["prefill"][f"{model}/8"]["score"]
        assert f"8: {body['estimate']:.3f}" in spoken
    assert "start: 0: " in spoken


def test_the_layer_curve_has_both_directions_the_random_one_and_where_half_is_crossed():
    chart = read(card("layer").chart)
    spoken = chart.all("svg")[0].attributes["aria-label"]
    assert all(name in spoken for name in ("into aligned: 0: ", "into start: 0: ", "random: 0: 0.03"))
    assert "half is crossed: 11.0 to 21.4" in chart.text()
    assert chart.all("rect", class_="rg")


def test_shares_of_a_change_that_includes_0_are_hatched_with_the_reason():
    still = Example(sizes=(64,), reversals=(8,), samples=1, pairs=1, still=True)
    found = depth.layer(Evidence(still.records(), still.meta()))
    assert "the interval of the change includes 0" in found.note
    assert read(found.chart).all("rect", class_="ht")


def test_a_reading_that_was_not_made_gives_the_axis_reason():
    axis = {"layer": {"value": {"estimate": None, "why": "asked for with --layers none"}, "verdict": "not measured"}}
    found = card("layer", layer={}, axis=axis)
    assert (found.chart, found.note) == (None, "Not measured: asked for with --layers none")


def test_the_share_of_first_choices_that_the_start_shares_stands_below_kl_by_position():
    spoken = read(card("position").second).all("svg")[0].attributes["aria-label"]
    assert "start’s first choice" in spoken
    assert "aligned: 1: 0.61" in spoken

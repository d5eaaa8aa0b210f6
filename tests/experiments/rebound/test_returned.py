"""Return, overshoot, price and agreement of a planted spring, and of things that are none."""

from dataclasses import replace

import pytest
from tests.experiments.rebound.planted import BACK, KL, Spring, swept

from springback.experiments.audit.config import Audit
from springback.experiments.rebound import returned
from springback.stats.measured import Measured

ONE = Audit(align_sizes=(256,), reverse_sizes=(8, 16, 32, 64), pairs=72, samples=48, neutral=24, arms="all",
            layers="none", forced_tokens=(0,))  # fmt: skip


@pytest.mark.parametrize(("tolerance", "reached", "within"), [(0.2, True, 16), (0.06, True, 32), (0.01, False, None),
                                                              (0.05, None, None)])  # fmt: skip
def test_a_return_is_reached_not_reached_or_left_open_where_the_interval_holds_epsilon(tolerance, reached, within):
    found = returned.returned(swept(audit=ONE), tolerance)
    assert (found["reached"], found["examples"], found["steps"], found["tokens"]) == (reached, 32, 4, 640)
    assert (found["first_within"] or {}).get("examples") == within
    assert (found["why"] is None) == (reached is not None)
    assert found["of_alignment"] == dict.fromkeys(("examples", "tokens", "steps"), 32 / 256)


def test_a_model_that_never_left_its_start_does_not_return_to_it():
    found = returned.returned(swept(audit=ONE, kl={0: 0.004, 8: 0.003, 16: 0.002, 32: 0.001, 64: 0.003}), 0.01)
    assert found["reached"] is None
    assert "nothing to come back from" in found["why"]


def test_where_every_reversal_leads_further_away_the_aligned_model_is_the_closest():
    found = returned.returned(swept(audit=ONE, kl={n: 0.3 + n / 100 for n in KL}), 0.01)
    assert (found["examples"], found["tokens"], found["steps"], found["reached"]) == (0, 0, 0, False)
    assert found["kl"] == found["aligned_kl"]
    assert found["of_alignment"]["examples"] == 0


def test_a_model_that_was_not_reversed_says_so():
    one = swept(audit=ONE)
    cells = {key: body for key, body in one.read("cell").items() if body["phase"] != "reversed"}
    cut = type(one)(one.sweep, lambda kind: cells if kind == "cell" else one.read(kind))
    found = returned.returned(cut, 0.01)
    assert found["kl"]["estimate"] is None
    assert (found["reached"], found["examples"]) == (None, None)
    assert returned.price(cut).why == "no reversal was read"


def test_the_overshoot_is_what_lies_past_the_start_as_a_share_of_the_gain():
    found = [returned.overshot(swept(audit=ONE, draw=draw, gain=0.04), "margin") for draw in range(4)]
    assert sum(one.low <= BACK[64] - 1 <= one.high for one in found) >= 3
    assert {one.unit for one in found} == {"share of the gain"}
    short = returned.overshot(swept(audit=ONE, gain=0.04, back={8: 0.1, 16: 0.2, 32: 0.3, 64: 0.4}), "margin")
    assert short.low <= -0.6 <= short.high < 0


def test_without_a_gain_there_is_no_price_no_overshoot_and_it_says_why():
    one = swept(audit=ONE, gain=0.0, draw=1)
    assert "nothing to lose" in returned.price(one).why
    shot = returned.overshot(one, "margin")
    assert shot.estimate is None or shot.low is None or shot.low < -0.5


def test_a_half_life_beyond_what_was_read_is_not_reached():
    found = returned.price(swept(audit=ONE, back={8: 0.0, 16: 0.05, 32: 0.1, 64: 0.2}, noise=0.005))
    assert found.why == "not reached within 64 examples"


def test_one_size_of_reversal_still_has_a_price_and_a_return():
    one = swept(audit=replace(ONE, reverse_sizes=(16,)), back={16: 0.8}, kl={0: 0.5, 16: 0.1}, noise=0.005)
    price = returned.price(one)
    assert price.low <= 10 <= (price.high or 16)
    assert returned.returned(one, 0.2)["examples"] == 16


def test_readings_that_rise_together_correlate_and_constant_ones_do_not():
    found = returned.agreement(swept(audit=ONE), 0.01)
    assert Measured.of(found["score_margin"]).low > 0.3
    still = returned.agreement(swept(audit=ONE, scored=False), 0.01)
    assert "0 cells" in still["score_kl"]["why"]


def test_behaviour_that_is_back_while_the_distribution_is_not_is_named_by_its_cell():
    law = {"back": {8: 0.3, 16: 0.6, 32: 1.0, 64: 1.0}, "kl": {0: 0.5, 8: 0.5, 16: 0.5, 32: 0.5, 64: 0.5}}
    found = returned.agreement(swept(audit=ONE, **law), 0.01)["behaviour_back_distribution_not"]
    assert {"0/main/256/32", "0/main/256/64"} <= set(found) <= {f"0/main/256/{n}" for n in BACK}
    alike = returned.agreement(swept(audit=ONE, **(law | {"kl": dict.fromkeys(KL, 0.001)})), 0.01)
    assert alike["behaviour_back_distribution_not"] == []


def test_the_half_life_of_the_law_is_where_the_straight_line_crosses_one_half():
    assert Spring(back={8: 0.25, 16: 0.75}).half_life == 12

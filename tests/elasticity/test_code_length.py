import math

import pytest
import torch

from springback.elasticity.code_length import CodeLength, code_length, gamma, margin


def nats(*probabilities):
    return torch.tensor(probabilities, dtype=torch.float64).log()


def test_probabilities_one_half_and_one_quarter_cost_three_bits():
    found = code_length(nats(0.5, 0.25, 0.125), stop=1, answer_bytes=2)
    assert found.bits == pytest.approx(6)
    assert found.bits_without_stop == pytest.approx(3)
    assert found.rate == pytest.approx(6 / 16)


def test_a_certain_answer_costs_nothing():
    found = code_length(nats(1.0, 1.0), stop=1, answer_bytes=3)
    assert str(found.bits) == "0.0"
    assert found.rate == 0


@pytest.mark.parametrize("stop", [0, 1, 2])
def test_only_the_trailing_stop_tokens_are_left_out(stop):
    assert code_length(nats(0.5, 0.5, 0.5, 0.5), stop=stop, answer_bytes=1).bits_without_stop == pytest.approx(4 - stop)


def test_an_answer_of_no_bytes_has_no_rate():
    with pytest.raises(ValueError, match="no bytes"):
        code_length(nats(0.5), stop=1, answer_bytes=0)


def test_an_impossible_token_is_named_not_averaged():
    with pytest.raises(ValueError, match="finite"):
        code_length(nats(0.5, 0.0), stop=1, answer_bytes=4)


def test_more_stop_tokens_than_tokens_is_an_error():
    with pytest.raises(ValueError, match="do not fit"):
        code_length(nats(0.5), stop=2, answer_bytes=1)


def test_micro_is_a_ratio_of_sums_and_macro_a_mean_of_ratios():
    found = gamma([CodeLength(8.0, 4.0, 1), CodeLength(24.0, 20.0, 9)])
    assert found.micro.estimate == pytest.approx(32 / 80)
    assert found.macro.estimate == pytest.approx((1 + 24 / 72) / 2)
    assert found.micro_without_stop.estimate == pytest.approx(24 / 80)
    assert (found.bytes, found.documents, found.micro.n, found.micro.unit) == (10, 2, 2, "bit/bit")


def test_one_answer_has_a_rate_and_no_interval():
    found = gamma([CodeLength(8.0, 8.0, 4)])
    assert found.micro.estimate == found.macro.estimate == 0.25
    assert found.micro.low is None
    assert found.micro.n == 1
    assert "no interval" in str(found.micro.why)


def test_the_interval_holds_the_rate_the_answers_were_drawn_around():
    draws = torch.rand(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = gamma([CodeLength(8 * 10 * float(u), 0.0, 10) for u in draws]).micro
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.5 < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(1 / 12 / 200), rel=0.2)


def test_the_margin_is_positive_where_the_wanted_answer_is_cheaper():
    wanted, opposite = CodeLength(8.0, 8.0, 4), CodeLength(24.0, 24.0, 6)
    assert margin(wanted, opposite) == pytest.approx(0.5 - 0.25)
    assert margin(opposite, wanted) == -margin(wanted, opposite)

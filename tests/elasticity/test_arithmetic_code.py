import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from springback.elasticity.arithmetic_code import WIDTH, Decoder, Distribution, Encoder, excess_bits

vocabularies = st.sampled_from([1, 2, 3, 259, 50_000])
sharpness = st.sampled_from([0.0, 1.0, 12.0, 800.0])
"""Of the logits: all alike, mild, and so sharp that probabilities are 1 and 0 to the last bit."""


def drawn(seed, vocabulary, scale, symbols, *, likely):
    """Distributions and symbols: likely ones, or any, however improbable."""
    random = np.random.default_rng(seed)
    rows = (random.standard_normal((symbols, vocabulary)) * scale).astype(np.float32)
    if not likely:
        return rows, random.integers(vocabulary, size=symbols).tolist()
    return rows, [int(np.argmax(row + random.gumbel(size=vocabulary))) for row in rows]


def encoded(rows, symbols):
    coder = Encoder()
    for row, symbol in zip(rows, symbols, strict=True):
        coder.put(Distribution(row).interval(symbol))
    return coder.finish()


def decoded(rows, code):
    coder = Decoder(code)
    return [coder.take(Distribution(row)) for row in rows]


@given(st.integers(0, 2**32), vocabularies, sharpness, st.integers(0, 40), st.booleans())
def test_any_symbols_under_any_distributions_come_back(seed, vocabulary, scale, symbols, likely):
    rows, chosen = drawn(seed, vocabulary, scale, symbols, likely=likely)
    assert decoded(rows, encoded(rows, chosen)[0]) == chosen


@given(st.integers(0, 2**32), vocabularies, st.sampled_from([0.0, 1.0, 12.0]), st.integers(0, 300))
def test_a_code_is_as_long_as_its_symbols_are_improbable_and_two_bits_at_most_longer(seed, vocabulary, scale, symbols):
    rows, chosen = drawn(seed, vocabulary, scale, min(symbols, 400_000 // vocabulary), likely=True)
    code, bits = encoded(rows, chosen)
    ideal = sum(Distribution(row).bits(symbol) for row, symbol in zip(rows, chosen, strict=True))
    assert ideal - 1e-6 <= bits <= ideal + 2 + excess_bits(len(rows), vocabulary)
    assert 8 * len(code) - 8 < bits <= 8 * len(code) or (bits, code) == (0, b"")


def test_bits_are_those_of_the_softmax():
    row = np.random.default_rng(3).standard_normal(1_000).astype(np.float32) * 7
    expected = -log_softmax(row.astype(np.float64)) / math.log(2)
    found = Distribution(row)
    assert [found.bits(symbol) for symbol in range(1_000)] == pytest.approx(expected, abs=1e-9)


def test_eighty_tosses_of_a_fair_coin_are_ten_bytes():
    tosses = [0, 1, 1, 0, 1, 0, 0, 1] * 10
    code, bits = encoded(np.zeros((80, 2), np.float32), tosses)
    assert bits <= 82
    assert code[:10] == bytes([0b01101001] * 10)


def test_equal_logits_have_equal_shares():
    shares = [Distribution(np.full(7, 3.5, np.float32)).interval(symbol) for symbol in range(7)]
    assert {share.high - share.low for share in shares} == {shares[0].total // 7}
    assert [share.low for share in shares] == [symbol * shares[0].total // 7 for symbol in range(7)]


def without_renormalising(rows, symbols):
    """The same intervals on one integer that grows by a byte where ours sends one away: no carry, no mask."""
    low, size, sent = 0, 1 << WIDTH, 0
    for row, symbol in zip(rows, symbols, strict=True):
        share = Distribution(row).interval(symbol)
        low, size = low + size // share.total * share.low, size // share.total * (share.high - share.low)
        while size <= 1 << (WIDTH - 8):
            low, size, sent = low << 8, size << 8, sent + 1
    return low, size, sent


@given(st.integers(0, 2**32), st.sampled_from([2, 259]), sharpness, st.booleans())
def test_the_code_lies_in_the_interval_of_an_unbounded_integer(seed, vocabulary, scale, highest):
    rows, chosen = drawn(seed, vocabulary, scale, 60, likely=True)
    chosen = [vocabulary - 1] * 60 if highest else chosen  # the top of the interval: carries run through many bytes
    low, size, sent = without_renormalising(rows, chosen)
    code, bits = encoded(rows, chosen)
    value = int.from_bytes(code, "big") << (WIDTH + 8 * sent - 8 * len(code))
    assert low <= value
    assert value + (1 << (WIDTH + 8 * sent - bits)) <= low + size


def test_a_carry_runs_through_bytes_that_are_full():
    coder = Encoder()
    coder._low, coder._out = 1 << WIDTH, bytearray([7, 255, 255])
    coder._carry()
    assert coder._out == bytearray([8, 0, 0])
    assert coder._low == 0


def test_a_symbol_of_probability_zero_costs_much_and_comes_back():
    row = np.array([0.0, -np.inf, -3e38], np.float32)
    code, bits = encoded([row, row], [1, 2])
    assert decoded([row, row], code) == [1, 2]
    assert bits > 79
    assert Distribution(row).bits(1) == math.inf


@pytest.mark.parametrize("row", [[0.0, np.nan], [np.inf, 0.0], [-np.inf, -np.inf]])
def test_what_is_no_distribution_is_an_error(row):
    with pytest.raises(ValueError, match="not finite"):
        Distribution(np.array(row, np.float32))


@given(st.binary(max_size=30))
def test_bytes_that_no_encoder_wrote_decode_to_something(code):
    rows = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32) * 5
    assert all(0 <= symbol < 5 for symbol in decoded(rows, code))


def test_quantisation_costs_less_than_a_millionth_of_a_bit_a_token():
    assert 0 < excess_bits(1_000_000, 262_144) < 1

import math

import numpy as np
import pytest

from springback.elasticity.compression_rate import Part, joint_masses, normalised_rate, normaliser, rate
from springback.elasticity.hooke import kl

LEFT, RIGHT = np.array([0.5, 0.5, 0.0, 0.0]), np.array([0.0, 0.0, 0.75, 0.25])


def test_the_mixture_weighs_each_set_by_its_size():
    assert joint_masses([Part(LEFT, 3.0), Part(RIGHT, 1.0)]) == pytest.approx([3 / 8, 3 / 8, 3 / 16, 1 / 16])


def test_the_rate_is_bits_for_each_source_symbol():
    q = joint_masses([Part(LEFT, 3.0), Part(RIGHT, 1.0)])
    assert rate(LEFT, q, depth=2) == pytest.approx(-math.log2(3 / 8) / 2)


def test_no_model_compresses_better_than_the_sets_own_masses():
    assert rate(RIGHT, RIGHT, depth=1) < rate(RIGHT, joint_masses([Part(LEFT, 0.1), Part(RIGHT, 9.0)]), depth=1)


def test_a_model_that_lacks_a_leaf_needs_infinitely_many_bits():
    assert rate(LEFT, RIGHT, depth=2) == math.inf


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_normalised_rate_is_a_difference_of_two_divergences_for_each_symbol(depth):
    q, uniform = joint_masses([Part(LEFT, 1.0), Part(RIGHT, 1.0)]), np.full(4, 0.25)
    expected = (kl(RIGHT, q) - kl(RIGHT, uniform)) / depth
    assert normalised_rate(RIGHT, q, depth=depth) == pytest.approx(expected)
    assert normalised_rate(RIGHT, uniform, depth=depth) == pytest.approx(0)


def test_knowing_nothing_of_all_binary_strings_costs_one_bit_a_symbol():
    assert normaliser(2**7, depth=7) == 1


@pytest.mark.parametrize("sizes", [(0.0, 0.0), (-1.0, 2.0)])
def test_sizes_are_not_negative_nor_all_zero(sizes):
    with pytest.raises(ValueError, match="Sizes"):
        joint_masses([Part(LEFT, sizes[0]), Part(RIGHT, sizes[1])])

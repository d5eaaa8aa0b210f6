import math
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from springback.elasticity.huffman import block_lengths, entropy, huffman, text_lengths
from springback.elasticity.masses import sources
from springback.elasticity.mixture import Mixture
from springback.elasticity.overlap import Overlap
from springback.elasticity.token_tree import token_tree

weights = st.lists(st.integers(0, 8), min_size=1, max_size=6).filter(any)


def masses(counts):
    return [count / sum(counts) for count in counts]


@cache
def cheapest(counts: tuple[int, ...]) -> int:
    """Least Σ count·length over every binary tree: all ways to join two nodes, one after another."""
    if len(counts) == 1:
        return 0
    joined = []
    for first, second in combinations(range(len(counts)), 2):
        rest = [count for i, count in enumerate(counts) if i not in (first, second)]
        both = counts[first] + counts[second]
        joined.append(both + cheapest(tuple(sorted([*rest, both]))))
    return min(joined)


@given(weights)
def test_no_prefix_code_is_shorter(counts):
    held = tuple(sorted(count for count in counts if count))
    assert huffman(masses(counts)).mean_length == pytest.approx(cheapest(held) / sum(counts))


@given(weights)
def test_words_are_prefix_free_and_fill_the_tree(counts):
    code = huffman(masses(counts))
    words = [word for word in code.words if word is not None]
    assert not any(a != b and b.startswith(a) for a in words for b in words)
    assert len(set(words)) == len(words)
    assert sum(2.0 ** -len(word) for word in words) == 1
    assert [None if word is None else len(word) for word in code.words] == list(code.lengths)


@given(weights)
def test_entropy_is_at_most_the_length_and_less_than_a_bit_below_it(counts):
    ideal, printed, length = block_lengths(masses(counts))
    assert ideal - 1e-12 <= length < ideal + 1
    assert printed - 1 < ideal + 1e-9
    assert ideal <= printed + 1e-8


def test_leaves_without_mass_have_no_word_and_change_no_other():
    assert huffman([0.5, 0.0, 0.25, 0.25]).words == ("0", None, "10", "11")
    assert huffman([0.5, 0.25, 0.25]).words == ("0", "10", "11")


def test_a_single_leaf_costs_nothing():
    assert huffman([1.0]).words == ("",)
    assert block_lengths([0.0, 1.0]) == (0.0, 0, 0.0)


def test_ties_are_broken_by_the_order_of_leaves():
    assert huffman([0.25] * 4).words == ("00", "01", "10", "11")
    assert sorted(huffman([0.2] * 5).lengths) == [2, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("p", "ideal", "printed", "length"),
    [((0.9, 0.05, 0.05), 0.569, 1, 1.1), ((0.5, 0.25, 0.25), 1.5, 2, 1.5), ((0.125,) * 8, 3.0, 3, 3.0)],
)
def test_the_printed_length_can_be_on_either_side_of_huffmans(p, ideal, printed, length):
    found = block_lengths(p)
    assert found.ideal == pytest.approx(ideal, abs=5e-4)
    assert (found.printed, found.huffman) == (printed, pytest.approx(length))


def test_a_text_takes_as_many_blocks_as_begin_in_it():
    assert text_lengths(13, depth=6, masses=[0.5, 0.25, 0.25]) == (4.5, 6, 4.5)
    assert text_lengths(0, depth=6, masses=[0.5, 0.5]) == (0.0, 0, 0.0)


def test_the_leaves_of_a_tree_can_be_coded():
    tree = token_tree({("0",): 1.0, ("1", "0"): 1.0, ("1", "1"): 2.0}, alphabet=("0", "1"), depth=3)
    assert huffman(tree.masses).mean_length == pytest.approx(1.5)


def test_huffman_lengths_do_not_follow_small_changes_so_the_theorem_is_about_ideal_lengths():
    """At k = 100 the rate of D_a under the mixture's own Huffman code takes a few values over l in [0, 1]."""
    made = sources(8, masses="pareto", overlap=Overlap("full"), seed=3)
    rates, ideal = set(), set()
    for l in np.linspace(0, 1, 41):  # noqa: E741
        mixture = Mixture(made, 100.0, float(l))
        lengths = np.array(huffman(mixture.masses).lengths, dtype=float)
        rates.add(round(float(made.alignment @ lengths), 9))
        ideal.add(mixture.rates().a)
    assert len(ideal) == 41
    assert len(rates) < 20


@pytest.mark.parametrize("p", [[], [0.5, 0.6], [-0.5, 1.5], [math.nan, 1.0], [[0.5, 0.5]]])
def test_what_is_no_distribution_is_an_error(p):
    with pytest.raises(ValueError, match="sum to 1"):
        huffman(np.array(p))


def test_entropy_of_equal_leaves_is_their_number_in_bits():
    assert entropy([1 / 32] * 32) == pytest.approx(5)
    assert str(entropy([1.0])) == "0.0"

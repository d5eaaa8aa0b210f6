import pytest
from hypothesis import given
from hypothesis import strategies as st

from springback.elasticity.token_tree import OTHER, Leaf, empirical_tree, token_tree

BITS = ("0", "1")
responses = st.dictionaries(
    st.lists(st.sampled_from(BITS), max_size=6).map(tuple), st.floats(0.01, 10.0), min_size=1, max_size=12
)


def words(**weights):
    return {tuple(word.strip("_")): weight for word, weight in weights.items()}


def test_a_response_shorter_than_the_depth_is_a_leaf_of_its_own_and_longer_ones_share_a_cut_leaf():
    tree = token_tree(words(_0=1.0, _01=2.0, _010=4.0, _011=1.0), alphabet=BITS, depth=2)
    assert tree.leaves == {Leaf(("0",), "eos"): 1 / 8, Leaf(("0", "1"), "cut"): 7 / 8}
    assert tree.cut == 7 / 8


@given(responses, st.integers(1, 7))
def test_leaf_masses_sum_to_one_and_a_nodes_weight_is_its_childrens(weights, depth):
    tree = token_tree(weights, alphabet=BITS, depth=depth)
    assert tree.masses.sum() == pytest.approx(1)
    assert tree.node(()) == pytest.approx(1)
    for leaf in tree.leaves:
        for length in range(len(leaf.path)):
            prefix = leaf.path[:length]
            ended = tree.leaves.get(Leaf(prefix, "eos"), 0.0)
            assert tree.node(prefix) == pytest.approx(ended + sum(tree.node((*prefix, bit)) for bit in BITS))


@given(responses, st.integers(2, 7))
def test_a_shallower_tree_adds_up_what_it_cuts(weights, depth):
    deep = token_tree(weights, alphabet=BITS, depth=depth)
    shallow = token_tree(weights, alphabet=BITS, depth=depth - 1)
    for leaf, mass in shallow.leaves.items():
        if leaf.end == "cut":
            assert mass == pytest.approx(deep.node(leaf.path))
        else:
            assert mass == pytest.approx(deep.leaves[leaf])


def test_dropping_what_is_cut_rescales_the_rest_and_the_printed_sum_would_miss_it():
    weights = words(_0=1.0, _1=3.0, _0110=4.0)
    tree = token_tree(weights, alphabet=BITS, depth=3, cut="drop")
    assert tree.leaves == {Leaf(("0",), "eos"): 0.25, Leaf(("1",), "eos"): 0.75}
    assert tree.cut == 0.5
    kept = token_tree(weights, alphabet=BITS, depth=3)
    assert sum(mass for leaf, mass in kept.leaves.items() if leaf.end == "eos") == pytest.approx(1 - kept.cut)


def test_the_empty_response_is_a_leaf_below_the_root():
    assert token_tree({(): 2.0, ("0",): 2.0}, alphabet=BITS, depth=1).leaves == {
        Leaf((), "eos"): 0.5,
        Leaf(("0",), "cut"): 0.5,
    }


def test_a_samples_tree_gives_rare_and_unseen_responses_to_one_other_leaf():
    sample = ["aab"] * 6 + ["b"] * 3 + ["ab"]
    tree = empirical_tree(sample, alphabet=("a", "b"), depth=4, least=2, unseen=0.1)
    assert tree.leaves[Leaf(("b",), "eos")] == pytest.approx(0.27)
    assert tree.leaves[Leaf(("a", "a", "b"), "eos")] == pytest.approx(0.54)
    assert tree.leaves[OTHER] == pytest.approx(0.1 + 0.09)
    assert len(tree.leaves) == 3


def test_a_sample_that_holds_everything_has_no_other_leaf():
    assert OTHER not in empirical_tree(["0", "1", "1"], alphabet=BITS, depth=3).leaves


@pytest.mark.parametrize(
    ("weights", "depth", "cut"),
    [({}, 2, "leaf"), ({("0",): -1.0, ("1",): 2.0}, 2, "leaf"), ({("0",): 1.0}, 0, "leaf"), ({("x",): 1.0}, 2, "leaf"),
     ({("0", "1"): 1.0}, 1, "drop")],
)  # fmt: skip
def test_what_is_no_tree_is_an_error(weights, depth, cut):
    with pytest.raises(ValueError, match=r"tree|Weights|alphabet"):
        token_tree(weights, alphabet=BITS, depth=depth, cut=cut)


def test_the_whole_mass_cannot_be_unseen():
    with pytest.raises(ValueError, match="unseen"):
        empirical_tree(["0"], alphabet=BITS, depth=2, unseen=1.0)

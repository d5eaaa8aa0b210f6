"""A finished sweep as arrays."""

import numpy as np
import pytest
from tests.experiments.rebound.planted import Planted, Spring, swept

from springback.experiments.audit.config import Audit

THREE = Audit(align_sizes=(64, 256), reverse_sizes=(8, 16), pairs=12, samples=12, neutral=6, seeds=(0, 1, 2))


@pytest.fixture(scope="module")
def three():
    return Planted(Spring(audit=THREE, seed_noise=0.01)).swept()


def test_seeds_and_sizes_are_those_that_were_read(three):
    assert three.seeds == (0, 1, 2)
    assert three.aligned == (64, 256)
    assert three.largest == 256
    assert three.sizes("main", 256) == (0, 8, 16)
    assert three.sizes("from_start", 0)[0] != 0
    assert three.sizes("continuation", 64) == ()


def test_a_size_that_one_seed_lacks_is_not_a_size(three):
    whole = three.read("cell")
    missing = {key: body for key, body in whole.items() if key != "1/main/256/16"}
    cut = type(three)(three.sweep, lambda kind: missing if kind == "cell" else three.read(kind))
    assert cut.sizes("main", 256) == (0, 8)


def test_items_stand_in_their_order_however_they_were_stored(three):
    straight = three.margins("main", 256, 8)
    pairs = dict(reversed(three.read("pair").items()))
    turned = type(three)(three.sweep, lambda kind: pairs if kind == "pair" else three.read(kind))
    assert straight.shape == (3, 12)
    assert np.array_equal(straight, turned.margins("main", 256, 8))
    assert straight[1, 3] == three.read("pair")["1/main/256/8/3"]["margin"]


def test_a_reading_is_over_seeds_from_three_seeds_on_and_the_first_seeds_below(three):
    assert three.measured("kl_from_start", "main", 256, 8).over == "seeds"
    two = swept(audit=Audit(align_sizes=(256,), reverse_sizes=(8,), pairs=12, samples=12, neutral=6, seeds=(4, 7)))
    first = two.measured("behaviour.margin", "main", 256, 8)
    assert first.over == "pairs"
    assert first.estimate == two.read("cell")["4/main/256/8"]["behaviour"]["margin"]["estimate"]


def test_what_was_not_read_says_so(three):
    assert three.measured("kl_from_start", "main", 512, 8).why == "0/main/512/8 was not read"
    assert three.contrast("margin", "undone", 4096).why == "margin/undone/main/256/4096 was not measured"


def test_a_contrast_is_over_seeds_where_the_audit_has_one(three):
    assert three.contrast("margin", "gain", 0).over == "seeds"
    assert swept(audit=Audit(pairs=12, samples=12, neutral=6)).contrast("margin", "gain", 0).over == "pairs"

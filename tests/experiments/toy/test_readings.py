import math

import numpy as np
import pytest
from tests.experiments.toy.small import small

from springback.elasticity.masses import sources
from springback.elasticity.mixture import Mixture
from springback.elasticity.overlap import Overlap
from springback.experiments.toy.config import Toy
from springback.experiments.toy.mixture_run import learned, predicted
from springback.experiments.toy.plan import Cell, Chain, cells
from springback.experiments.toy.readings import entropy, kl, reading
from springback.experiments.toy.world import World, drawn, world

CELL = Cell(0, 640, 0.0, "main", 64, 32)


def read(model, base):
    """Sources of two strings each; 16 strings, of which ten are as good as impossible."""
    parts = [np.array([0.5 if i // 2 == part else 0.0 for i in range(16)]) for part in range(3)]
    laws = World((parts[0], parts[1], parts[2]), parts[1], parts[2])
    model, base = (np.log2(np.concatenate([p, np.full(8, 2.0**-40)])) for p in (model, base))
    return reading(CELL, model, base, laws, Toy(length=4))


def test_rates_masses_and_distances_by_hand():
    base = np.array([1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 16, 1 / 16, 1 / 16, 1 / 16])
    model = np.array([1 / 32, 1 / 32, 1 / 2, 1 / 4, 1 / 16, 1 / 16, 1 / 32, 1 / 32])
    found = read(model, base)
    assert found["gamma"]["aligned"]["rate"] == pytest.approx((1 + 2) / 2 / 4)
    assert found["gamma"]["reversed"]["rate"] == pytest.approx(4 / 4)
    assert found["gamma"]["pretraining"]["rate"] == pytest.approx((5 + 1.5 + 4) / 3 / 4)
    assert found["gamma"]["pretraining"]["normalised"] == pytest.approx(10.5 / 12 - 1)
    assert found["gamma"]["aligned"]["excess"] == pytest.approx((1.5 - 1) / 4)
    assert found["kl_from_start"] == pytest.approx(2 * 3 / 4 - 2 / 8 - 1 / 8 + 2 * 1 / 16, abs=1e-9)
    assert found["kl_to_start"] == pytest.approx(-2 * 3 / 32 + 2 / 2 + 1 / 4 - 2 * 1 / 32, abs=1e-9)
    assert found["mass"] == pytest.approx({"p1": 1 / 16, "p2": 3 / 4, "p3": 1 / 8})


def test_a_model_is_at_no_distance_from_itself():
    assert kl(np.log2([0.25, 0.75]), np.log2([0.25, 0.75])) == 0.0


def test_the_floor_is_reached_by_the_law_itself():
    made = world(small(), 0, 0.0)
    found = reading(CELL, np.log2(made.pretraining), np.log2(made.pretraining), made, small())
    assert found["gamma"]["pretraining"]["rate"] == pytest.approx(entropy(made.pretraining) / 6)


def test_the_mixture_of_a_cell_is_that_of_the_theorem():
    config = Toy(length=8, order="runs")
    cell = Cell(0, 120_000, 0.0, "main", 2048, 512)
    theory = Mixture(sources(8, masses="pareto", overlap=Overlap(), alpha=1.2, seed=0), 120_000 / 2048, 512 / 2048)
    np.testing.assert_allclose(np.exp2(learned(world(config, 0, 0.0), cell)), theory.masses, rtol=1e-12)


def test_a_mix_exchanges_labels_in_both_sets():
    made, pure = world(small(), 1, 0.25), world(small(), 1, 0.0)
    np.testing.assert_allclose(made.aligned, 0.75 * pure.aligned + 0.25 * pure.reversed)
    np.testing.assert_allclose(made.reversed, 0.75 * pure.reversed + 0.25 * pure.aligned)
    fixed = world(small(reverse_mix=0.0), 1, 0.25)
    np.testing.assert_allclose(fixed.reversed, pure.reversed)
    np.testing.assert_allclose(fixed.aligned, made.aligned)


def test_scattering_moves_strings_and_changes_no_mass():
    runs, scattered = world(small(order="runs"), 3, 0.0), world(small(), 3, 0.0)
    for one, other in zip(runs.parts, scattered.parts, strict=True):
        assert sorted(one) == sorted(other)
    assert (runs.parts[0] != scattered.parts[0]).any()
    assert not (scattered.aligned * scattered.reversed).any()


def chain(phase="align", size=20_000, arm="main"):
    return Chain(phase, 0, 640, 0.0, arm, 0, (size,))


def test_strings_follow_their_law_and_a_longer_chain_begins_with_the_shorter_one():
    config = small()
    strings = drawn(config, chain())
    counts = np.bincount(strings, minlength=64) / 20_000
    law = world(config, 0, 0.0).aligned
    assert not counts[law == 0].any()
    np.testing.assert_allclose(counts, law, atol=4 * math.sqrt(0.25 / 20_000))
    np.testing.assert_array_equal(drawn(config, chain(size=100)), strings[:100])


def test_a_placebo_is_drawn_from_pretraining_and_is_not_the_pretraining_set():
    config = small()
    held = set(drawn(config, chain(arm="placebo")))
    assert held == set(np.flatnonzero(world(config, 0, 0.0).pretraining))
    begun = drawn(config, Chain("pretrain", 0, 640, 0.0, "from_base", 0, (640,)))
    assert (drawn(config, chain(arm="placebo"))[:640] != begun).any()


@pytest.mark.parametrize("overlap", ["disjoint", "full", "0.5", "1", "full:1"])
def test_the_count_mixture_has_finite_readings_under_every_overlap(overlap):
    config = small(overlap=overlap, seeds=(0,))
    for body in predicted(config, cells(config)).values():
        assert math.isfinite(body["kl_from_start"] + body["kl_to_start"])
        assert all(math.isfinite(rate["rate"]) and rate["excess"] > -1e-12 for rate in body["gamma"].values())
        assert sum(body["mass"].values()) == pytest.approx(1)

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from springback.elasticity.compression_rate import Part, joint_masses, rate
from springback.elasticity.masses import sources
from springback.elasticity.mixture import Mixture, exact_l_star, interference
from springback.elasticity.mixture_gradient import autograd
from springback.elasticity.overlap import Overlap

constructions = st.builds(
    lambda depth, masses, overlap, seed: sources(depth, masses=masses, overlap=Overlap.named(overlap), seed=seed),
    st.integers(2, 8),
    st.sampled_from(["uniform", "pareto"]),
    st.sampled_from(["disjoint", "full", "0.2", "0.7", "1", "full:0.7"]),
    st.integers(0, 20),
)
sizes = st.floats(0.1, 1e5)
shares = st.one_of(st.just(0.0), st.floats(1e-3, 10.0))


def made(overlap="disjoint", depth=6, masses="pareto"):
    return sources(depth, masses=masses, overlap=Overlap.named(overlap), seed=1)


def unit(mixture):
    return 1 / (mixture.total * mixture.sources.depth * math.log(2))


def exactly(s, k, l):  # noqa: E741
    """γ_p, γ_a and γ_t with 60 digits."""
    getcontext().prec = 60
    columns = [[Decimal(float(x)) for x in p] for p in (s.rest, s.alignment, s.reversal)]
    third, k, l = Decimal(1) / 3, Decimal(k), Decimal(l)  # noqa: E741
    q = [(k * third * (a + b + c) + b + l * c) / (k + 1 + l) for a, b, c in zip(*columns, strict=True)]
    logs = [x.ln() if x else Decimal(0) for x in q]
    own = [[third * (a + b + c) for a, b, c in zip(*columns, strict=True)], columns[1], columns[2]]
    return [-sum(p * log for p, log in zip(part, logs, strict=True)) / s.depth / Decimal(2).ln() for part in own]


@pytest.mark.parametrize("overlap", ["disjoint", "full", "0.7", "full:0.7"])
@pytest.mark.parametrize(("k", "l"), [("7", "0.3"), ("1000", "0.05"), ("100000", "2"), ("1000000", "0.05")])
def test_all_three_ways_equal_a_difference_taken_with_sixty_digits(overlap, k, l):  # noqa: E741
    s, h = made(overlap, depth=4), Decimal("1e-15")
    before, after = exactly(s, k, Decimal(l) - h), exactly(s, k, Decimal(l) + h)
    want = [float((y - x) / (2 * h)) for x, y in zip(before, after, strict=True)]
    mixture = Mixture(s, float(k), float(l))
    assert list(mixture.derivatives()) == pytest.approx(want, rel=1e-7)
    assert list(mixture.finite_differences()) == pytest.approx(want, rel=1e-6)
    assert list(autograd(mixture)) == pytest.approx(want, rel=1e-7)


@given(constructions, sizes, shares)
def test_closed_form_finite_differences_and_autograd_agree(s, k, l):  # noqa: E741
    mixture = Mixture(s, k, l)
    floor = 1e-9 * unit(mixture)
    exact = list(mixture.derivatives())
    assert list(mixture.finite_differences()) == pytest.approx(exact, rel=2e-3, abs=floor)
    assert list(autograd(mixture)) == pytest.approx(exact, rel=1e-5, abs=floor)


@given(constructions, sizes, shares)
def test_weighed_by_size_the_derivatives_cancel_so_a_falling_pretraining_rate_means_a_rising_alignment_rate(s, k, l):  # noqa: E741
    found, floor = Mixture(s, k, l).derivatives(), 1e-11 * max(1.0, k)
    assert k * found.p + found.a + l * found.t == pytest.approx(0, abs=floor * unit(Mixture(s, k, l)))
    assert found.p >= 0 or found.a > 0


@given(constructions, sizes, shares)
def test_the_rates_are_those_of_definition_3_5(s, k, l):  # noqa: E741
    q = joint_masses([Part(s.pretraining, k), Part(s.alignment, 1.0), Part(s.reversal, l)])
    mixture = Mixture(s, k, l)
    assert mixture.masses == pytest.approx(q)
    assert list(mixture.rates()) == pytest.approx(
        [rate(p, q, depth=s.depth) for p in (s.pretraining, s.alignment, s.reversal)]
    )


@given(constructions, st.floats(0.1, 1e3), shares, shares)
def test_a_change_is_the_difference_of_two_rates(s, k, before, after):
    moved = Mixture(s, k, before).changes(before, after)
    expected = np.array(Mixture(s, k, after).rates()) - np.array(Mixture(s, k, before).rates())
    assert list(moved) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("masses", ["uniform", "pareto"])
@pytest.mark.parametrize(("k", "l", "depth"), [(10.0, 0.05, 12), (37.0, 0.21, 9), (1e5, 0.05, 7), (3.0, 3.0, 2)])
def test_under_disjoint_supports_no_derivative_depends_on_masses(masses, k, l, depth):  # noqa: E741
    mixture = Mixture(sources(depth, masses=masses, overlap=Overlap(), alpha=0.5), k, l)
    t = mixture.total / (k / 3 + l)
    expected = [unit(mixture) * (1 - t / 3), unit(mixture), unit(mixture) * (1 - t)]
    assert list(mixture.derivatives()) == pytest.approx(expected, rel=1e-8)


def test_the_table_of_the_research_note():
    found = {k: Mixture(made(depth=12), k, 0.05).derivatives() for k in (10.0, 1000.0, 1e5)}
    assert found[10.0].p == pytest.approx(-9.647e-4, rel=1e-3)
    assert found[10.0].a == pytest.approx(1.088e-2, rel=1e-3)
    assert found[1000.0].p == pytest.approx(-1.081e-7, rel=1e-3)
    assert found[1e5].p == pytest.approx(-1.08e-11, rel=2e-3)
    assert found[1e5].a == pytest.approx(1.20e-6, rel=2e-3)


@pytest.mark.parametrize(("overlap", "l", "signs"), [
    ("disjoint", 0.45, (-1, 1)), ("disjoint", 0.55, (1, 1)), ("full", 0.05, (-1, 1)), ("0.7", 0.05, (1, -1)),
    ("full:0.7", 0.05, (1, -1)), ("0.3", 0.05, (-1, 1)),
])  # fmt: skip
def test_the_theorem_needs_little_reversal_data_and_little_overlap(overlap, l, signs):  # noqa: E741
    found = Mixture(made(overlap, depth=10), 1000.0, l).derivatives()
    assert (np.sign(found.p), np.sign(found.a)) == signs


@given(constructions, st.floats(0, 2))
def test_far_out_the_derivatives_are_c2_and_c3_over_powers_of_k(s, l):  # noqa: E741
    known, mixture = interference(s), Mixture(s, 1e6, l)
    found = mixture.derivatives()
    assert found.a / unit(mixture) == pytest.approx(1 - known.c2, abs=1e-4)
    assert found.p * mixture.total / unit(mixture) == pytest.approx(
        -((1 - known.c2) - l * (known.c3 - 1)), rel=1e-3, abs=1e-3
    )


@given(st.floats(0.01, 1e6), st.integers(2, 9), st.sampled_from(["uniform", "pareto"]))
def test_disjoint_thirds_turn_at_one_half_at_every_k(k, depth, masses):
    s = sources(depth, masses=masses, overlap=Overlap())
    assert interference(s).l_star == pytest.approx(0.5)
    assert exact_l_star(s, k) == pytest.approx(0.5, rel=1e-6)


@given(constructions, st.floats(0.5, 1e3))
def test_the_pretraining_side_turns_where_the_exact_root_says(s, k):
    if (root := exact_l_star(s, k)) is not None:
        assert Mixture(s, k, root * 0.99).derivatives().p < 0 < Mixture(s, k, root * 1.01).derivatives().p
    else:
        slopes = {np.sign(Mixture(s, k, l).derivatives().p) for l in (1e-3, 0.1, 0.5, 1.0, 5.0)}  # noqa: E741
        assert slopes in ({1.0}, {-1.0}, {0.0})


@given(constructions)
def test_d_t_is_never_closer_to_pretraining_than_pretraining_itself(s):
    assert interference(s).c3 >= 1 - 1e-12
    assert interference(s).c2 >= 0


def test_equal_distributions_move_nothing_and_have_no_turning_point():
    mixture = Mixture(made("full", masses="uniform"), 10.0, 0.3)
    assert mixture.derivatives() == (0.0, 0.0, 0.0)
    assert interference(mixture.sources).l_star is None
    assert exact_l_star(mixture.sources, 10.0) is None


def test_a_plain_difference_of_two_rates_is_noise_where_ours_holds():
    s, k, h = made(depth=12), 1e5, 5e-6
    exact = Mixture(s, k, 0.05).derivatives().p
    plain = (Mixture(s, k, 0.05 + h).rates().p - Mixture(s, k, 0.05 - h).rates().p) / (2 * h)
    assert abs(plain / exact - 1) > 0.1
    assert Mixture(s, k, 0.05).finite_differences().p == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(("k", "l"), [(0.0, 0.1), (-1.0, 0.1), (1.0, -0.1), (math.inf, 0.1), (1.0, math.nan)])
def test_sizes_that_are_none_are_errors(k, l):  # noqa: E741
    with pytest.raises(ValueError, match="greater than 0"):
        Mixture(made(), k, l)

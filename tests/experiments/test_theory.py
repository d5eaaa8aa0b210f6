import math

import pytest

from springback.elasticity.masses import sources
from springback.elasticity.mixture import Mixture
from springback.elasticity.overlap import Overlap
from springback.errors import RefusedError
from springback.experiments.theory import TheoryConfig, run_theory
from springback.store.run import Run

SMALL = TheoryConfig(k=(10.0, 1000.0), l=(0.05, 0.55), depth=6)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return run_theory(SMALL, tmp_path_factory.mktemp("theory") / "run")


def test_there_is_a_row_for_every_combination(done):
    places = [(r["masses"], r["overlap"], r["k"], r["l"]) for r in done.rows]
    assert len(places) == len(set(places)) == 2 * 3 * 2 * 2
    assert len(done.hooke) == 2 * 3 * 2
    assert len(done.huffman) == 2 * 3 * 3


def test_a_row_can_be_computed_again_from_what_it_carries(done):
    for row in done.rows:
        more = {"alpha": row["alpha"], "seed": row["seed"]} if row["masses"] == "pareto" else {}
        made = sources(row["depth"], masses=row["masses"], overlap=Overlap.named(row["overlap"]), **more)
        found = Mixture(made, row["k"], row["l"])
        assert [row[f"dgamma_{name}_dl"] for name in "pat"] == list(found.derivatives())
        assert row["gamma"]["t"] == found.rates().t


def test_three_ways_agree_in_every_row(done):
    for row in done.rows:
        for name in ("dgamma_p_dl", "dgamma_a_dl", "dgamma_t_dl"):
            assert row["finite_difference"][name] == pytest.approx(row[name], rel=2e-3, abs=1e-15)
            assert row["autograd"][name] == pytest.approx(row[name], rel=1e-5, abs=1e-15)


def test_signs_hold_below_l_star_where_d_t_is_unlike_d_a_and_nowhere_else(done):
    for row in done.rows:
        if row["c2"] == pytest.approx(1):  # all distributions equal
            assert not row["signs_hold"]
        else:
            assert row["signs_hold"] == (row["c2"] < 1 and row["l"] < row["l_star_exact"])
    assert {row["signs_hold"] for row in done.rows} == {True, False}


def test_the_leading_order_is_printed_and_the_exact_root_stands_beside_it(done):
    row = next(r for r in done.rows if (r["masses"], r["overlap"], r["k"]) == ("pareto", "full", 10.0))
    assert row["l_star"] == (1 - row["c2"]) / (row["c3"] - 1)
    assert row["l_star_exact"] != row["l_star"]
    assert row["l_star_exact"] == pytest.approx(row["l_star"], rel=0.1)


def test_the_disproportion_of_the_theorem_is_near_k_below_l_star(done):
    row = next(r for r in done.rows if (r["overlap"], r["k"], r["l"]) == ("disjoint", 1000.0, 0.05))
    assert row["disproportion"] == pytest.approx(1.111, abs=1e-3)
    assert row["leading"]["p"] == pytest.approx(-(1 - 0.05 * 2), rel=1e-2)
    assert row["leading"]["a"] == pytest.approx(1)


def test_the_printed_divergence_is_a_number_or_a_reason(done):
    kinds = {row["overlap"]: row["printed_kl"]["a"] for row in done.hooke if row["masses"] == "pareto"}
    assert kinds["disjoint"]["value"] is None
    assert "smoothing" in kinds["disjoint"]["why"]
    assert kinds["full"]["value"] > 0


def test_smoothing_makes_the_printed_divergence_finite(tmp_path):
    config = TheoryConfig(k=(10.0,), l=(0.1,), depth=4, masses=("uniform",), overlap=("disjoint",), smoothing=0.01)
    (row,) = run_theory(config, tmp_path / "run").hooke
    assert math.isfinite(row["printed_kl"]["a"]["value"])


def test_a_second_call_computes_nothing_and_says_the_same(done, monkeypatch):
    monkeypatch.setattr("springback.experiments.theory.table", lambda config: pytest.fail("computed again"))
    again = run_theory(SMALL, done.path)
    assert again.rows == done.rows


def test_an_interrupted_table_goes_on_where_it_stopped(done, tmp_path, monkeypatch):
    from springback.experiments import theory

    whole, path = theory.table, tmp_path / "run"

    def some(config):
        for index, found in enumerate(whole(config)):
            if index == 7:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(theory, "table", some)
    with pytest.raises(KeyboardInterrupt):
        run_theory(SMALL, path)
    with Run.look(path) as stopped:
        assert (sum(stopped.kinds().values()), stopped.state) == (7, "partial")
    monkeypatch.setattr(theory, "table", whole)
    assert run_theory(SMALL, path).rows == done.rows


def test_another_question_in_the_same_directory_is_refused(done):
    with pytest.raises(RefusedError):
        run_theory(TheoryConfig(k=(11.0,)), done.path)


@pytest.mark.parametrize(
    "wrong",
    [{"k": (0.0,)}, {"k": (-1.0,)}, {"k": (1e10,)}, {"k": ()}, {"k": (1.0, 1.0)}, {"k": (math.nan,)}, {"l": (-0.1,)},
     {"l": ()}, {"depth": 0}, {"depth": 21}, {"depth": 1}, {"alpha": 0.0}, {"alpha": math.nan}, {"overlap": ("1.1",)},
     {"overlap": ("-0.1",)}, {"overlap": ("some",)}, {"overlap": ("0.7", "0.70")}, {"overlap": ()}, {"masses": ()},
     {"seed": -1}, {"smoothing": 1.5}],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_by_the_name_of_its_option(wrong):
    with pytest.raises(RefusedError) as refused:
        TheoryConfig(**wrong)
    assert refused.value.where == f"--{next(iter(wrong))}"
    assert refused.value.kind == "option"


def test_two_leaves_suffice_for_full_supports():
    assert TheoryConfig(depth=1, overlap=("full", "full:0.5")).depth == 1

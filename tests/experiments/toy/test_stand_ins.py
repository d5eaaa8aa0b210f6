"""Laboratories of known law: a count mixture is the theorem, and what never moves springs nowhere."""

import pytest
from tests.experiments.toy.small import CountMixture, Immobile, findings

from springback.experiments.toy.config import Toy


def predictions(found):
    return {key: body for (kind, key), body in found.items() if kind == "prediction"}


ASKED = {"length": 7, "pretrain": (12_000, 48_000, 192_000), "mix": (0.0, 0.1, 0.5)}


@pytest.fixture(scope="module")
def spring(tmp_path_factory):
    config = Toy(**ASKED)
    return findings(config, CountMixture(config), tmp_path_factory.mktemp("spring") / "run")


@pytest.fixture(scope="module")
def immobile(tmp_path_factory):
    config = Toy(**ASKED)
    return findings(config, Immobile(config), tmp_path_factory.mktemp("immobile") / "run")


def test_every_prediction_of_the_theorem_survives_in_a_count_mixture(spring):
    settled = {name: body["survives"] for name, body in predictions(spring).items() if body["source"] != "experiment"}
    assert settled == dict.fromkeys(settled, "yes")
    assert len(settled) == 12
    assert spring["verdict", "verdict"]["label"] == "springs_back"


def test_what_the_paper_reports_of_pretraining_volume_does_not_follow_from_the_theorem(spring):
    found = predictions(spring)
    assert found["more_pretraining_undoes_more"]["survives"] == "no"
    assert found["more_pretraining_is_faster"]["survives"] == "no"


def test_the_count_mixture_returns_a_quarter_of_the_way_at_half_of_the_alignment(spring):
    returned = {key: body for (kind, key), body in spring.items() if kind == "return"}
    for size in ("128", "512", "2048"):
        assert returned[size]["closest_return"]["examples"]["estimate"] == int(size) / 2
        assert returned[size]["undone"]["estimate"] == pytest.approx(0.25, abs=0.02)


def test_stiffness_is_k_in_a_count_mixture(spring):
    stiffness = spring["return", "8192"]["stiffness"]
    assert stiffness["k"] == pytest.approx(192_000 / 8192)
    assert stiffness["R"]["estimate"] == pytest.approx(stiffness["k"], rel=0.1)


def test_the_theory_s_column_is_what_the_spring_gives(spring):
    for body in predictions(spring).values():
        for part in body["parts"]:
            assert part["statistic"]["estimate"] == pytest.approx(part["theory"]["estimate"], rel=1e-6, abs=1e-12)


def test_nothing_survives_where_nothing_moves(immobile):
    settled = predictions(immobile)
    assert "yes" not in {body["survives"] for body in settled.values()}
    assert settled["pretraining_recovers"]["survives"] == "no"
    assert settled["returns_to_base"]["survives"] == "no"
    assert settled["even_mix_does_not_rebound"]["survives"] == "no"
    assert settled["k_fold_ratio"]["survives"] == "undecided"
    assert immobile["verdict", "verdict"]["label"] == "no_rebound"


def test_a_prediction_that_was_not_asked_for_says_what_it_needs(tmp_path):
    config = Toy(length=6)
    found = predictions(findings(config, CountMixture(config), tmp_path / "run"))
    for name in ("more_pretraining_undoes_more", "even_mix_does_not_rebound"):
        assert found[name]["survives"] == "undecided"
        assert "--thorough" in found[name]["why"]
        assert found[name]["statistic"] == {"estimate": None, "why": found[name]["why"]}


def test_two_seeds_decide_nothing(tmp_path):
    config = Toy(length=6, seeds=(0, 1))
    found = predictions(findings(config, CountMixture(config), tmp_path / "run"))
    assert {body["survives"] for body in found.values()} == {"undecided"}


def test_a_rule_that_the_theorem_itself_misses_tests_nothing(tmp_path):
    config = Toy(length=6, overlap="0.9")  # D_t resembles D_a more than pretraining does: signs are flipped
    found = predictions(findings(config, CountMixture(config), tmp_path / "run"))
    for name in ("alignment_worsens", "pretraining_recovers"):
        assert found[name]["survives"] == "undecided"
        assert "itself" in found[name]["why"]


def test_a_closest_point_is_asked_for_only_where_half_of_an_alignment_is_read(tmp_path):
    config = Toy(length=6, reverse_sizes=(32, 128))
    found = predictions(findings(config, CountMixture(config), tmp_path / "run"))
    assert "--reverse-sizes" in found["closest_grows_linearly"]["why"]
    assert found["pretraining_recovers"]["survives"] == "yes"

"""What losses and cures would do on given pairs: laws that need no model."""

import numpy as np
import pytest
import torch

from springback.errors import RefusedError
from springback.experiments.entangle import cures, family, pulls
from springback.experiments.entangle.cures import CURES, Numbers, Pulls
from springback.train.preference import DPO, LOSSES
from springback.train.preference.own import Own
from springback.train.preference.pairs import Both, PairLogprobs


def pairs(count=20, seed=0):
    random = np.random.default_rng(seed)
    found = []
    for index in range(count):
        w, other = random.standard_normal((2, 6)) + 1.5 * random.standard_normal(6)
        logprobs = {"chosen": -20.0, "rejected": -22.0, "reference_chosen": -20.0, "reference_rejected": -22.0}
        found.append({"index": index, "ww": w @ w, "ll": other @ other, "wl": w @ other, "d_w": 0.05, "d_l": 0.05,
                      "logprobs": logprobs, "tokens": {"chosen": 4, "rejected": 9}})  # fmt: skip
    return found


PAIRS = pairs()
ROWS = dict(family.losses(PAIRS, [[*range(10)], [*range(10, 20)]]))


def test_every_loss_of_the_family_has_a_row_or_a_reason():
    assert ROWS.keys() == LOSSES.keys()
    for name, row in ROWS.items():
        assert row["evaluated"] or len(row["why"]) > 10, name
    assert sum(row["evaluated"] for row in ROWS.values()) > 25


def test_losses_of_the_margin_alone_agree_on_every_pair():
    """d_w = d_l for each of them, so no β, ε or link changes who falls."""
    alike = [ROWS[name]["chosen_falls"]["estimate"] for name in ("dpo", "ipo", "hinge", "cdpo", "robust_dpo")]
    assert len(set(alike)) == 1
    assert 0 < alike[0] < 1


def test_a_loss_that_only_pushes_the_rejected_answer_lowers_the_chosen_one_where_they_point_the_same_way():
    """NPO has d_w = 0, so the chosen answer changes by −d_l ⟨g_w, g_l⟩."""
    same_way = np.mean([pair["wl"] > 0 for pair in PAIRS])
    assert ROWS["npo"]["chosen_falls"]["estimate"] == pytest.approx(same_way)
    assert ROWS["npo"]["rejected_rises"]["estimate"] == 0
    assert ROWS["npo"]["d_w"] == 0


def test_a_mean_over_tokens_pulls_by_one_over_the_length():
    assert ROWS["simpo"]["d_w"] / ROWS["simpo"]["d_l"] == pytest.approx(9 / 4)


def test_what_two_numbers_cannot_describe_is_named_and_refused():
    assert "weighs the tokens" in ROWS["ld_dpo"]["why"]
    with pytest.raises(RefusedError, match="cannot be diagnosed"):
        pulls.asked(LOSSES["ld_dpo"](), named="ld_dpo")


def test_pairwise_normalised_descent_is_inside_the_band_of_every_pair():
    of = _numbers(PAIRS)
    chosen, rejected = CURES["pairwise normalised"][0](_pulls(len(PAIRS)), of).changes(of)
    assert (chosen >= 0).all()
    assert (rejected <= 0).all()


def test_pairwise_normalised_descent_keeps_the_product_of_the_pulls():
    of, pull = _numbers(PAIRS), _pulls(len(PAIRS))
    found = cures.normalised(pull, of)
    assert found.chosen * found.rejected == pytest.approx(pull.chosen * pull.rejected)


def test_no_cure_makes_a_number_of_a_pair_without_gradients():
    of = Numbers(*(np.array(values) for values in ([0.0, 1.0], [0.0, 4.0], [0.0, 1.8], [0.0, -1.0], [0.0, 3.0])))
    for cure, _ in CURES.values():
        found = cure(_pulls(2), of)
        assert np.isfinite(found.chosen).all()
        assert np.isfinite(found.rejected).all()


def test_dpop_switches_on_below_the_reference_only():
    of = Numbers(*(np.array(values) for values in ([1.0, 1.0], [4.0, 4.0], [1.8, 1.8], [0.1, -0.1], [3.0, 3.0])))
    assert cures.positive(_pulls(2), of).chosen == pytest.approx([0.05, 51 * 0.05])


def test_calibration_by_mean_norms_takes_one_ratio_for_all_pairs():
    of = _numbers(PAIRS)
    found = cures.calibrated(_pulls(len(PAIRS)), of)
    ratio = found.chosen / found.rejected
    assert ratio == pytest.approx(np.sqrt(of.ll).mean() / np.sqrt(of.ww).mean())


def test_a_callable_of_one_s_own_is_pulled_like_a_member():
    """−log σ(β Δ) written by hand, knowing nothing of the package."""

    def mine(policy, reference):
        margin = policy.chosen - reference.chosen - policy.rejected + reference.rejected
        return torch.nn.functional.softplus(-0.1 * margin)

    policy, reference = (PairLogprobs(torch.randn(5).double() - 9, torch.randn(5).double() - 9) for _ in range(2))
    found = pulls.pulls(pulls.asked(mine, named="mine.py").loss, policy, reference)
    expected = pulls.pulls(pulls.asked(DPO(), named="dpo").loss, policy, reference)
    assert torch.allclose(found.chosen, expected.chosen)
    assert torch.allclose(found.rejected, expected.rejected)


def test_a_callable_of_one_s_own_is_given_whole_batches_for_nothing_is_known_of_it():
    for mine in (lambda policy, _: -policy.chosen, Own(lambda policy, _: -policy.chosen, "mine.py")):
        assert not pulls.asked(mine, named="mine.py").alone
    assert pulls.asked(DPO(), named="dpo").alone


def test_a_loss_without_a_finite_pull_is_refused_by_name():
    values = PairLogprobs(torch.tensor([-1.0]), torch.tensor([-2.0]), tokens=Both(torch.ones(1), torch.ones(1)))
    with pytest.raises(ArithmeticError, match="not finite"):
        pulls.pulls(lambda policy, _: (policy.chosen + 1).log(), values, values)


def _numbers(found):
    column = lambda name: np.array([pair[name] for pair in found])
    return Numbers(column("ww"), column("ll"), column("wl"), np.zeros(len(found)), np.full(len(found), 4.0))


def _pulls(count):
    return Pulls(np.full(count, 0.05), np.full(count, 0.05))

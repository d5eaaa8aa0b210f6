"""Where one loss is another: at an option's end, under some reference, or up to a factor. And where each rests."""

import math
from dataclasses import replace

import pytest
import torch
from tests.laws.family import Numbers, losses, weights

from springback.train.preference.alpha_dpo import AlphaDPO
from springback.train.preference.alpha_po import AlphaPO
from springback.train.preference.apo import APODown
from springback.train.preference.beta_dpo import BetaDPO
from springback.train.preference.cal_dpo import CalDPO
from springback.train.preference.cdpo import CDPO
from springback.train.preference.cpo import CPO
from springback.train.preference.discopop import DiscoPOP
from springback.train.preference.dpo import DPO
from springback.train.preference.dpo_shift import DPOShift
from springback.train.preference.dpop import DPOP, DPOPOutside
from springback.train.preference.exo import EXO
from springback.train.preference.f_dpo import FDPOAlpha, FDPOForwardKL
from springback.train.preference.family import LOSSES
from springback.train.preference.hinge import Hinge
from springback.train.preference.ipo import IPO, IPOMean
from springback.train.preference.npo import NPO, RejectedOnlyDPO
from springback.train.preference.r_dpo import RDPO, RDPOMinus
from springback.train.preference.robust_dpo import RobustDPO
from springback.train.preference.rpo import RPO
from springback.train.preference.sigmoid_norm import SigmoidNorm
from springback.train.preference.simpo import SimPO, SimPORatio
from springback.train.preference.slic_hf import SLiCHF
from springback.train.preference.sppo import SPPO, SPPOHalf
from springback.train.preference.tr_dpo import TRDPO

ANY = Numbers(*(torch.empty(6, dtype=torch.float64).uniform_(-9, -0.1, generator=torch.Generator().manual_seed(i))
                for i in range(4)),
              torch.tensor([1.0, 7, 3, 60, 2, 5]).double(), torch.tensor([9.0, 7, 3, 2, 1, 50]).double())  # fmt: skip
ZERO = replace(ANY, ref_chosen=torch.zeros(6).double(), ref_rejected=torch.zeros(6).double())
RAISED = replace(ANY, ref_chosen=ANY.chosen - 0.5)  # a = 0.5
SAME = [
    (CDPO(beta=0.3, label_smoothing=0.0), DPO(beta=0.3), ANY),
    (RobustDPO(beta=0.3, label_smoothing=0.0), DPO(beta=0.3), ANY),
    (DPOP(beta=0.3, penalty=0.0), DPO(beta=0.3), ANY),
    (DPOP(beta=0.3, penalty=50.0), DPO(beta=0.3), RAISED),
    (DPOPOutside(beta=0.3, penalty=50.0), DPO(beta=0.3), RAISED),
    (RPO(beta=0.3, nll=0.0), DPO(beta=0.3), ANY),
    (RDPO(beta=0.3, alpha=0.0), DPO(beta=0.3), ANY),
    (RDPOMinus(beta=0.3, alpha=0.0), DPO(beta=0.3), ANY),
    (DPOShift(beta=0.3, shift=1.0), DPO(beta=0.3), ANY),
    (TRDPO(beta=0.3), DPO(beta=0.3), ANY),
    (BetaDPO(beta=0.3, alpha=0.0), DPO(beta=0.3), ANY),
    (CalDPO(weight=0.0), DPO(beta=1.0), ANY),
    (CPO(beta=0.3, nll=0.0), DPO(beta=0.3), ZERO),
    (FDPOAlpha(alpha=1.0), FDPOForwardKL(), ANY),
    (SimPO(beta=2.0, gamma=0.0), SigmoidNorm(beta=2.0), ZERO),
    (SimPO(beta=2.0, gamma=1.4), SimPORatio(beta=2.0, gamma_beta_ratio=0.7), ANY),
    (AlphaDPO(beta=2.0, gamma_beta_ratio=0.7, alpha=0.0), SimPORatio(beta=2.0, gamma_beta_ratio=0.7), ANY),
    (SLiCHF(delta=1.0, nll=0.0), Hinge(beta=1.0), ZERO),
]


@pytest.mark.parametrize(("one", "other", "pairs"), SAME, ids=lambda of: type(of).__name__)
def test_it_is_the_other_one_there(one, other, pairs):
    torch.testing.assert_close(losses("", pairs, one), losses("", pairs, other))
    for push, same in zip(weights("", pairs, one), weights("", pairs, other), strict=True):
        torch.testing.assert_close(push, same)


NEAR = [
    (FDPOAlpha(beta=0.3, alpha=1e-9), DPO(beta=0.3)),
    (AlphaPO(alpha=1e-9, beta=2.0, gamma=0.7), SimPO(beta=2.0, gamma=0.7)),
    (AlphaPO(alpha=-1e-9, beta=2.0, gamma=0.7), SimPO(beta=2.0, gamma=0.7)),
]


@pytest.mark.parametrize(("one", "other"), NEAR, ids=lambda of: type(of).__name__)
def test_it_tends_to_the_other_one(one, other):
    torch.testing.assert_close(losses("", ANY, one), losses("", ANY, other), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("one", "other", "factor"), [(NPO(beta=0.3), RejectedOnlyDPO(beta=0.3), 2 / 0.3), (SPPO(), SPPOHalf(), 2.0)]
)
def test_it_is_a_multiple_of_the_other_one(one, other, factor):
    torch.testing.assert_close(losses("", ANY, one), factor * losses("", ANY, other))


def test_the_two_signs_of_r_dpo_part_with_the_lengths():
    plus, minus = (losses("", ANY, member(alpha=0.1)) for member in (RDPO, RDPOMinus))
    longer = ANY.chosen_tokens - ANY.rejected_tokens
    assert torch.equal((plus < minus), longer > 0)
    assert torch.equal((plus > minus), longer < 0)


def test_swapping_the_answers_adds_the_margin():
    # −log σ(−x) + log σ(x) = x
    swapped = Numbers(
        ANY.rejected, ANY.chosen, ANY.ref_rejected, ANY.ref_chosen, ANY.rejected_tokens, ANY.chosen_tokens
    )
    margin = ANY.chosen - ANY.rejected - ANY.ref_chosen + ANY.ref_rejected
    torch.testing.assert_close(losses("", swapped, DPO(beta=0.3)) - losses("", ANY, DPO(beta=0.3)), 0.3 * margin)


def at_margin(margin: float) -> Numbers:
    """One pair with a = margin and b = 0; three tokens each."""
    return Numbers(*(torch.tensor([x], dtype=torch.float64) for x in (-50 + margin, -60.0, -50.0, -60.0, 3.0, 3.0)))


RESTS = [
    (IPO(tau=0.1), 5.0),
    (IPOMean(tau=0.1), 15.0),  # 5 nats per token
    (CDPO(beta=0.5, label_smoothing=0.2), math.log(0.8 / 0.2) / 0.5),
    (EXO(beta=0.5, label_smoothing=1e-3), math.log(0.999 / 0.001) / 0.5),
]


@pytest.mark.parametrize(("method", "where"), RESTS, ids=lambda of: type(of).__name__)
def test_a_pair_beyond_the_target_is_pulled_back(method, where):
    before, at, beyond = (weights("", at_margin(where + by), method) for by in (-0.1, 0.0, 0.1))
    for side in range(2):
        assert before[side] > 1e-6
        assert at[side].abs() < 1e-9
        assert beyond[side] < -1e-6


def test_the_first_step_of_discopop_shrinks_the_margin():
    d_w, d_l = weights("", at_margin(0.0), DiscoPOP())
    assert (d_w.item(), d_l.item()) == pytest.approx((-0.078426, -0.078426), abs=1e-6)
    inside = [x / 0.1 for x in (-0.1185, 0.0719)]
    outside = [x / 0.1 for x in (-0.1186, 0.0721)]
    assert all(weights("", at_margin(margin), DiscoPOP())[0] < 0 for margin in inside)
    assert all(weights("", at_margin(margin), DiscoPOP())[0] > 0 for margin in outside)


def test_apo_down_leaves_the_chosen_answer_at_the_reference():
    d_w, d_l = weights("", at_margin(0.0), APODown())
    assert d_w.item() == 0
    assert d_l.item() == pytest.approx(0.1 / 4)


def test_the_forward_kl_turns_the_push_to_the_rejected_answer():
    # q = d_w/d_l = e^−(a − b), whatever β
    d_w, d_l = weights("", ANY, FDPOForwardKL(beta=0.3))
    ratio = (ANY.chosen - ANY.ref_chosen) - (ANY.rejected - ANY.ref_rejected)
    torch.testing.assert_close(d_w / d_l, (-ratio).exp())


@pytest.mark.parametrize("name", ["simpo", "ipo_mean", "sigmoid_norm"])
def test_a_mean_weighs_the_shorter_answer_more(name):
    d_w, d_l = weights(name, ANY)
    torch.testing.assert_close(d_w / d_l, ANY.rejected_tokens / ANY.chosen_tokens)


@pytest.mark.parametrize("name", ["dpo", "cdpo", "hinge", "sigmoid_norm", "nca", "apo_zero", "exo", "simpo", "cpo"])
def test_the_weights_fall_with_beta_to_a_finite_slope(name):
    options = {"nll": 0.0} if name == "cpo" else {}
    slopes = [weights(name, ANY, LOSSES[name](beta=beta, **options))[1] / beta for beta in (1e-6, 1e-8)]
    assert slopes[0].abs().min() > 1e-6
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=0)


def test_npo_tends_to_plain_ascent():
    torch.testing.assert_close(weights("npo", ANY, NPO(beta=1e-9))[1], torch.ones(6).double())

"""Losses of pairs at one point: a = 0.7, b = −0.9, Δ = 1.6 nats, 7 and 9 equally likely tokens; d per nat of sum."""

from dataclasses import replace

import pytest
from tests.laws.family import losses, weights
from tests.train.preference.the_point import POINT, at_the_point, tensor

from springback.train.preference.alpha_dpo import AlphaDPO
from springback.train.preference.alpha_po import AlphaPO
from springback.train.preference.apo import APODown, APOZero
from springback.train.preference.beta_dpo import BetaDPO
from springback.train.preference.cal_dpo import CalDPO
from springback.train.preference.cdpo import CDPO
from springback.train.preference.cpo import CPO
from springback.train.preference.discopop import DiscoPOP
from springback.train.preference.dpo import DPO
from springback.train.preference.dpo_shift import DPOShift, DPOShiftLinear
from springback.train.preference.dpop import DPOP, DPOPOutside
from springback.train.preference.exo import EXO
from springback.train.preference.f_dpo import FDPOAlpha, FDPOForwardKL, FDPOJensenShannon
from springback.train.preference.family import LOSSES
from springback.train.preference.hinge import Hinge
from springback.train.preference.ipo import IPO, IPOMean
from springback.train.preference.nca import NCA
from springback.train.preference.npo import NPO, RejectedOnlyDPO
from springback.train.preference.orpo import ORPO
from springback.train.preference.r_dpo import RDPO
from springback.train.preference.robust_dpo import RobustDPO
from springback.train.preference.rpo import RPO
from springback.train.preference.sigmoid_norm import SigmoidNorm
from springback.train.preference.simpo import SimPO, SimPORatio
from springback.train.preference.slic_hf import SLiCHF
from springback.train.preference.sppo import SPPO, SPPOHalf
from springback.train.preference.tr_dpo import TRDPO

KNOWN = [
    (DPO(), 0.61634377, 0.04600851, 0.04600851),
    (TRDPO(), 0.61634377, 0.04600851, 0.04600851),
    (CDPO(label_smoothing=0.1), 0.63234377, 0.03600851, 0.03600851),
    (RobustDPO(label_smoothing=0.1), 0.59634377, 0.05850851, 0.05850851),
    (Hinge(), 0.84, 0.1, 0.1),
    (IPO(tau=0.1), 11.56, 6.8, 6.8),
    (IPOMean(tau=0.1), 23.04, 1.37142857, 1.06666667),
    (SigmoidNorm(beta=0.1), 0.68319718, 0.00707143, 0.00550000),
    (SigmoidNorm(beta=2.0), 0.51301525, 0.11466067, 0.08918052),
    (EXO(label_smoothing=1e-3), 2.48873818, 0.16759398, 0.16759398),
    (NCA(), 1.34771900, 0.02237607, 0.02387576),
    (SPPO(beta=0.1), 35.3, 8.6, 8.2),
    (SPPOHalf(beta=0.1), 17.65, 4.3, 4.1),
    (APOZero(), 0.96002232, 0.02496940, 0.02494944),
    (APODown(), 0.97757797, -0.00012872, 0.02484068),
    (DiscoPOP(tau=0.05), 0.84290851, 0.06593171, 0.06593171),
    (FDPOForwardKL(), 0.59980537, 0.02240005, 0.11094816),
    (FDPOJensenShannon(), 0.65212627, 0.01589590, 0.03405896),
    (FDPOAlpha(alpha=0.5), 0.61050938, 0.03219902, 0.07166023),
    (RPO(nll=1.0), 2.37348663, 0.18886565, 0.04600851),
    (CPO(nll=0.0), 0.56291533, 0.04304538, 0.04304538),
    (CPO(nll=1.0), 2.32005819, 0.18590252, 0.04304538),
    (SimPO(beta=2.0, gamma=1.0), 1.43171818, 0.21745769, 0.16913376),
    (SimPO(beta=2.5, gamma=1.4), 1.78258025, 0.29707015, 0.23105456),
    (SimPO(beta=0.1, gamma=0.5), 0.97902453, 0.00891889, 0.00693692),
    (SimPORatio(beta=2.0, gamma_beta_ratio=0.5), 1.43171818, 0.21745769, 0.16913376),
    (AlphaPO(alpha=0.25, beta=2.5, gamma=0.5), 1.17443077, 0.38291523, 0.29197200),
    (ORPO(beta=0.1), 1.83141142, 0.15190659, 0.00716181),
    (SLiCHF(delta=5.0, nll=0.1), 3.43, 1.1, 1.0),
    (RDPO(alpha=0.2), 0.82032997, 0.05597136, 0.05597136),
    (RDPO(alpha=0.01), 0.62559518, 0.04650571, 0.04650571),
    (CalDPO(beta=0.1), 17.83390074, 4.46798161, 4.26798161),
    (DPOShift(shift=0.95), 0.61841667, 0.04612031, 0.04381430),
    (DPOShift(shift=0.75), 0.62675860, 0.04656791, 0.03492593),
    (DPOShiftLinear(shift=0.75, shift_end=0.95, steps=10, step=10), 0.61841667, 0.04612031, 0.04381430),
    (NPO(), 12.98318678, 0, 0.95503035),
    (RejectedOnlyDPO(), 0.64915934, 0, 0.04775152),
    (BetaDPO(alpha=0.0), 0.61634377, 0.04600851, 0.04600851),
]


@pytest.mark.parametrize(("method", "value", "d_w", "d_l"), KNOWN, ids=lambda of: type(of).__name__)
def test_value_and_both_weights_are_the_known_ones(method, value, d_w, d_l):
    assert at_the_point(method) == pytest.approx((value, d_w, d_l), abs=2e-8)


@pytest.mark.parametrize(
    ("method", "value", "d_w", "d_l"),
    [
        (DPOP(penalty=50.0), 1.65263069, 4.12311872, 0.08084547),
        (DPOP(penalty=5.0), 0.73915934, 0.31349089, 0.05224848),
        # 0.3 nats below the reference cost 50·0.3 = 15 beside −log σ(0.06)
        (DPOPOutside(penalty=50.0), 15 + 0.66359711, 50 + 0.04850045, 0.04850045),
    ],
    ids=["dpop", "penalty_5", "outside"],
)
def test_a_chosen_answer_below_its_reference_is_penalised(method, value, d_w, d_l):
    below = replace(POINT, ref_chosen=tensor(-12.0))
    found = losses("", below, method).item(), *(push.item() for push in weights("", below, method))
    assert found == pytest.approx((value, d_w, d_l), abs=2e-8)


def test_the_odds_ratio_of_orpo_alone_is_the_known_one():
    with_it, without = (at_the_point(ORPO(beta=beta)) for beta in (0.1, 1e-12))
    assert [a - b for a, b in zip(with_it, without, strict=True)] == pytest.approx(
        [0.07426856, 0.00904945, 0.00716181], abs=2e-8
    )
    assert without[0] == pytest.approx(12.3 / 7)


def test_the_beta_of_beta_dpo_follows_the_batch():
    # β = 0.1·(1 + 0.6·(1.6 − 0.4)) = 0.172, and floored at 0.02 where 1 + 0.6·(1.6 − 9.6) < 0
    assert at_the_point(BetaDPO(alpha=0.6, mean=0.4)) == pytest.approx(at_the_point(DPO(beta=0.172)))
    assert at_the_point(BetaDPO(alpha=0.6, mean=9.6, floor=0.02)) == pytest.approx(at_the_point(DPO(beta=0.02)))


def test_the_margin_of_alpha_dpo_follows_the_pair():
    # a/7 − b/9 = 0.1 + 0.1, so z = (0.2 − 0.05)/0.1 = 1.5, and γ/β + α·z = 0.6 + 0.3 = 0.9
    adaptive = AlphaDPO(beta=2.5, gamma_beta_ratio=0.6, alpha=0.2, mean=0.05, deviation=0.1)
    assert at_the_point(adaptive) == pytest.approx(at_the_point(SimPORatio(beta=2.5, gamma_beta_ratio=0.9)))


def test_the_factor_of_a_linear_shift_moves_between_its_ends():
    half_way = DPOShiftLinear(shift=0.5, shift_end=1.0, steps=8, step=4)
    assert at_the_point(half_way) == pytest.approx(at_the_point(DPOShift(shift=0.75)))


AT_THE_REFERENCE = {
    "dpo": 0.693147, "ipo": 25.0, "ipo_mean": 25.0, "hinge": 1.0, "sppo": 50.0, "exo": 2.761231, "nca": 1.386294,
    "apo_zero": 1.0, "apo_down": 1.0, "discopop": 0.846574, "cal_dpo": 25.693147, "f_dpo_forward_kl": 0.693147,
    "npo": 13.862944, "rejected_only_dpo": 0.693147, "dpop": 0.693147, "robust_dpo": 0.693147, "cdpo": 0.693147,
}  # fmt: skip


@pytest.mark.parametrize("name", AT_THE_REFERENCE)
def test_the_reference_itself_has_the_loss_of_the_table(name):
    assert losses(name, POINT.at_the_reference(), LOSSES[name]()).item() == pytest.approx(
        AT_THE_REFERENCE[name], abs=1e-6
    )

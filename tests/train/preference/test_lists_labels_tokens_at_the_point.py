"""Values at a = 0.7, b = −0.9, β = 0.1 unless said; those of research/preference.md §9.1 were run against TRL 1.16."""

import math

import pytest
from tests.laws.family import losses
from tests.train.preference.the_point import POINT, at_the_point

from springback.train.preference.aot import AOT, AOTUnpaired
from springback.train.preference.bco import BCO, BCOBatch, BCOPair
from springback.train.preference.d2o import D2O
from springback.train.preference.info_nca import InfoNCA, NCAList
from springback.train.preference.kto import KTOPair
from springback.train.preference.ld_dpo import LDDPO, LDDPOPolicyOnly
from springback.train.preference.lipo import LiPO
from springback.train.preference.pro import PRO, PROPlain
from springback.train.preference.rrhf import RRHF, RRHFMean
from springback.train.preference.sampo import SamPO
from springback.train.preference.tdpo import TDPO1, TDPO2
from springback.train.preference.unlikelihood import Unlikelihood
from springback.train.preference.wpo import WPO, WPOClamped


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


MEAN_W, MEAN_L = -12.3 / 7, -15.1 / 9
S = sigmoid(-0.16)  # of DPO at βΔ = 0.16
LIPO = 1 / math.log(2) - 1 / math.log(3)  # |2¹ − 2⁰| · |1/D₁ − 1/D₂|
P = sigmoid(1.0)  # softmax of relevance (1, 0) at α = 1
LIKELY = math.exp(MEAN_L)  # probability of each of the nine rejected tokens


@pytest.mark.parametrize(
    ("method", "value", "d_w", "d_l"),
    [
        # §9.1
        (BCOPair(), 1.30791889, 0.04825071, 0.04775152),
        (BCOBatch(), 1.30789393, 0.04800107, 0.04800107),  # δ = ½(.07 − .09) = −.01
        (BCO(), 1.30789393, 0.04800107, 0.04800107),  # the first batch is all that was seen
        (InfoNCA(alpha=1.0), 0.65937440, 0.01911437, 0.01911437),
        (LDDPO(alpha=0.5), 0.62095705, 0.1 * sigmoid(-0.15) * 1, 0.1 * sigmoid(-0.15) * 8 / 9),
        (LDDPO(alpha=0.0), 0.62559518, 0.1 * sigmoid(-0.14), 0.1 * sigmoid(-0.14) * 7 / 9),
        (LDDPOPolicyOnly(alpha=0.5), 0.69704363, 0.05019444, 0.05019444 * 8 / 9),
        (WPO(), 0.01986351, 0.00148276, 0.00148276),  # w = exp(−12.3/7 − 15.1/9) = .03222797
        (WPOClamped(), 0.01986351, 0.00148276, 0.00148276),
        (RRHF(), 12.37936508, 1 + 1 / 7, 1 / 9),  # (15.1/9 → −1.67778) − (−1.75714) = .07936508; + 12.3
        # by hand
        (RRHFMean(rank=1.0), MEAN_L - MEAN_W - MEAN_W, 2 / 7, 1 / 9),
        (RRHFMean(), 100 * (MEAN_L - MEAN_W) - MEAN_W, 101 / 7, 100 / 9),
        (AOT(), softplus(-0.16), 0.1 * S, 0.1 * S),
        (AOTUnpaired(), softplus(-0.16), 0.1 * S, 0.1 * S),
        (AOT(label_smoothing=0.1), softplus(-0.16) + 0.016, 0.1 * (S - 0.1), 0.1 * (S - 0.1)),  # cDPO's 0.63234377
        (D2O(), softplus(-0.16), 0.1 * S, 0.1 * S),
        (D2O(beta=0.2, alpha=0.1), softplus(-0.23), 0.2 * sigmoid(-0.23), 0.1 * sigmoid(-0.23)),  # .2·.7 + .1·.9
        (SamPO(), softplus(-0.14), 0.1 * sigmoid(-0.14), 0.1 * sigmoid(-0.14) * 7 / 9),  # .7 + .9·7/9 = 1.4
        (TDPO1(), softplus(-0.13), 0.1 * sigmoid(-0.13), 0.1 * sigmoid(-0.13)),  # 1.6 − (.7 − .4)
        (TDPO2(), softplus(-0.145), 0.1 * sigmoid(-0.145), 0.1 * sigmoid(-0.145)),  # 1.6 − .5 (.7 − .4)
        (LiPO(beta=0.1), LIPO * softplus(-0.16), LIPO * 0.1 * S, LIPO * 0.1 * S),
        (
            PRO(),
            softplus(MEAN_L - MEAN_W) + 0.05 * 12.3,
            sigmoid(MEAN_L - MEAN_W) / 7 + 0.05,
            sigmoid(MEAN_L - MEAN_W) / 9,
        ),
        (PROPlain(nll=0.0), softplus(MEAN_L - MEAN_W), sigmoid(MEAN_L - MEAN_W) / 7, sigmoid(MEAN_L - MEAN_W) / 9),
        (
            NCAList(),
            P * softplus(-0.07) + (1 - P) * softplus(0.09) + (softplus(0.07) + softplus(-0.09)) / 2,
            0.1 * (P * sigmoid(-0.07) - sigmoid(0.07) / 2),
            0.1 * (sigmoid(-0.09) / 2 - (1 - P) * sigmoid(0.09)),
        ),
        (
            KTOPair(),  # [mean b]₊ = 0 and [mean a]₊ = .7, through which a's own gradient flows as well
            (sigmoid(-0.07) + sigmoid(-0.16)) / 2,
            0.05 * (sigmoid(0.07) * sigmoid(-0.07) + sigmoid(0.16) * S),
            0.05 * sigmoid(0.16) * S,
        ),
        (Unlikelihood(), -9 * math.log(1 - LIKELY), 0.0, LIKELY / (1 - LIKELY)),
    ],
    ids=lambda found: str(found) if not isinstance(found, float) else None,
)
def test_known_values(method, value, d_w, d_l):
    assert at_the_point(method) == pytest.approx((value, d_w, d_l), abs=6e-9)


LOG_2 = math.log(2)


@pytest.mark.parametrize(
    ("method", "value"),
    [
        (KTOPair(), 0.5),
        (BCO(), 2 * LOG_2),
        (BCOBatch(), 2 * LOG_2),
        (BCOPair(), 2 * LOG_2),
        (AOT(), LOG_2),
        (AOTUnpaired(), LOG_2),
        (LiPO(), LIPO * LOG_2),
        (InfoNCA(), LOG_2),
        (NCAList(), 2 * LOG_2),
        (WPO(), math.exp(-13.0 / 7 - 14.2 / 9) * LOG_2),
        (TDPO1(), LOG_2),
        (TDPO2(), LOG_2),
        (SamPO(), LOG_2),
        (LDDPO(), LOG_2),
        (D2O(), LOG_2),
        # policy-only: the reference keeps 1/9 of 14.2 that the policy's weight takes away
        (LDDPOPolicyOnly(), softplus(0.1 * 14.2 / 9)),
    ],
    ids=str,
)
def test_what_the_reference_itself_costs(method, value):
    assert losses("", POINT.at_the_reference(), method).item() == pytest.approx(value, abs=1e-12)

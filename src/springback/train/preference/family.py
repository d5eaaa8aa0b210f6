"""Every member of the family by name, one line each; `__init__.py` gives it on as `LOSSES`.

Where implementations of one name disagree, the paper's form has the name, and the other one in use a name behind it.
"""

from springback.train.preference.alpha_dpo import AlphaDPO
from springback.train.preference.alpha_po import AlphaPO
from springback.train.preference.aot import AOT, AOTUnpaired
from springback.train.preference.apo import APODown, APOZero
from springback.train.preference.bco import BCO, BCOBatch, BCOPair
from springback.train.preference.beta_dpo import BetaDPO
from springback.train.preference.cal_dpo import CalDPO
from springback.train.preference.cdpo import CDPO
from springback.train.preference.cpo import CPO
from springback.train.preference.d2o import D2O
from springback.train.preference.discopop import DiscoPOP
from springback.train.preference.dpo import DPO
from springback.train.preference.dpo_shift import DPOShift, DPOShiftLinear
from springback.train.preference.dpop import DPOP, DPOPOutside
from springback.train.preference.exo import EXO
from springback.train.preference.f_dpo import FDPOAlpha, FDPOForwardKL, FDPOJensenShannon
from springback.train.preference.hinge import Hinge
from springback.train.preference.info_nca import InfoNCA, NCAList
from springback.train.preference.info_nce_embeddings import InfoNCEEmbeddings, InfoNCEEmbeddingsKL
from springback.train.preference.ipo import IPO, IPOMean
from springback.train.preference.kto import KTO, KTOPair
from springback.train.preference.ld_dpo import LDDPO, LDDPOPolicyOnly
from springback.train.preference.lipo import LiPO
from springback.train.preference.method import Method
from springback.train.preference.nca import NCA
from springback.train.preference.npo import NPO, RejectedOnlyDPO
from springback.train.preference.orpo import ORPO, ORPOWithPrompt
from springback.train.preference.pro import PRO, PROPlain
from springback.train.preference.r_dpo import RDPO, RDPOMinus
from springback.train.preference.robust_dpo import RobustDPO
from springback.train.preference.rpo import RPO
from springback.train.preference.rrhf import RRHF, RRHFMean
from springback.train.preference.sampo import SamPO
from springback.train.preference.sigmoid_norm import SigmoidNorm
from springback.train.preference.simpo import SimPO, SimPORatio
from springback.train.preference.slic_hf import SLiCHF
from springback.train.preference.sppo import SPPO, SPPOHalf
from springback.train.preference.tdpo import TDPO1, TDPO2
from springback.train.preference.tr_dpo import TRDPO
from springback.train.preference.unlikelihood import Unlikelihood
from springback.train.preference.wpo import WPO, WPOClamped

LOSSES: dict[str, type[Method]] = {
    "dpo": DPO,
    "cdpo": CDPO,
    "robust_dpo": RobustDPO,
    "ipo": IPO,
    "ipo_mean": IPOMean,
    "hinge": Hinge,
    "slic_hf": SLiCHF,
    "r_dpo": RDPO,
    "r_dpo_minus": RDPOMinus,
    "dpop": DPOP,
    "dpop_outside": DPOPOutside,
    "rpo": RPO,
    "simpo": SimPO,
    "simpo_ratio": SimPORatio,
    "alpha_dpo": AlphaDPO,
    "cpo": CPO,
    "alpha_po": AlphaPO,
    "orpo": ORPO,
    "orpo_with_prompt": ORPOWithPrompt,
    "sppo": SPPO,
    "sppo_half": SPPOHalf,
    "exo": EXO,
    "nca": NCA,
    "apo_zero": APOZero,
    "apo_down": APODown,
    "discopop": DiscoPOP,
    "cal_dpo": CalDPO,
    "beta_dpo": BetaDPO,
    "f_dpo_forward_kl": FDPOForwardKL,
    "f_dpo_js": FDPOJensenShannon,
    "f_dpo_alpha": FDPOAlpha,
    "sigmoid_norm": SigmoidNorm,
    "tr_dpo": TRDPO,
    "dpo_shift": DPOShift,
    "dpo_shift_linear": DPOShiftLinear,
    "npo": NPO,
    "rejected_only_dpo": RejectedOnlyDPO,
    "kto": KTO,
    "kto_pair": KTOPair,
    "bco": BCO,
    "bco_batch": BCOBatch,
    "bco_pair": BCOPair,
    "aot": AOT,
    "aot_unpaired": AOTUnpaired,
    "rrhf": RRHF,
    "rrhf_mean": RRHFMean,
    "pro": PRO,
    "pro_plain": PROPlain,
    "lipo": LiPO,
    "info_nca": InfoNCA,
    "nca_list": NCAList,
    "wpo": WPO,
    "wpo_clamped": WPOClamped,
    "tdpo1": TDPO1,
    "tdpo2": TDPO2,
    "sampo": SamPO,
    "ld_dpo": LDDPO,
    "ld_dpo_policy_only": LDDPOPolicyOnly,
    "unlikelihood": Unlikelihood,
    "d2o": D2O,
}

BESIDE: dict[str, type[Method]] = {
    "info_nce_embeddings": InfoNCEEmbeddings,
    "info_nce_embeddings_kl": InfoNCEEmbeddingsKL,
}
"""Methods of preference data that are no function of log-probabilities: they have no d_w and d_l, so the family's laws
and the diagnosis do not speak of them."""

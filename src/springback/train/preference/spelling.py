"""The names that the family's members and their options go by elsewhere; what we report is always our own."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

MEMBERS: Final[Mapping[str, str]] = {
    "sigmoid": "dpo",
    "f_dpo_reverse_kl": "dpo",
    "conservative_dpo": "cdpo",
    "robust": "robust_dpo",
    "r_dpo_length": "r_dpo",
    "length_regularized_dpo": "r_dpo",
    "slic": "slic_hf",
    "smaug": "dpop",
    "dpo_positive": "dpop",
    "irpo": "rpo",
    "dpo_nll": "rpo",
    "simpo_gamma_beta_ratio": "simpo_ratio",
    "orpo_trl": "orpo_with_prompt",
    "sppo_hard": "sppo",
    "exo_pair": "exo",
    "exo_pref": "exo",
    "nca_pair": "nca",
    "lrml": "discopop",
    "f_dpo_forward": "f_dpo_forward_kl",
    "forward_kl": "f_dpo_forward_kl",
    "f_dpo_jensen_shannon": "f_dpo_js",
    "js_divergence": "f_dpo_js",
    "alpha_divergence": "f_dpo_alpha",
    "dpo_norm": "sigmoid_norm",
    "length_normalized_dpo": "sigmoid_norm",
    "rejected_only": "rejected_only_dpo",
    "dpo_rejected_only": "rejected_only_dpo",
    "ipo_sum": "ipo",
    "ipo_avg": "ipo_mean",
    "tdpo": "tdpo2",
}
OPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "ipo": {"beta": "tau"},
    "ipo_mean": {"beta": "tau"},
    "dpop": {"lambda": "penalty"},
    "dpop_outside": {"lambda": "penalty"},
    "slic_hf": {"lambda": "nll"},
    "rpo": {"alpha": "nll", "rpo_alpha": "nll"},
    "cpo": {"alpha": "nll", "cpo_alpha": "nll"},
    "orpo": {"lambda": "beta"},
    "orpo_with_prompt": {"lambda": "beta"},
    "simpo": {"simpo_gamma": "gamma"},
    "discopop": {"discopop_tau": "tau"},
    "dpo_shift": {"lambda": "shift", "f": "shift", "dpo_lambda": "shift"},
}
"""Of each member: the option's name elsewhere, and ours. Only where both are the same number."""
EVERYWHERE: Final[Mapping[str, str]] = {"epsilon": "label_smoothing", "eps": "label_smoothing"}


def member(name: str, members: Iterable[str]) -> str | None:
    """Our name of a member, whatever the case and the hyphens; None where there is no such member."""
    known = {squeezed(each): each for each in members}
    elsewhere = {squeezed(other): ours for other, ours in MEMBERS.items()}
    return known.get(squeezed(name)) or elsewhere.get(squeezed(name))


def option(name: str, of: str, options: Collection[str]) -> str:
    """Our name of an option of the member `of`; as it was written where there is none."""
    written = name.strip().lower().replace("-", "_")
    if written in options:
        return written
    ours = OPTIONS.get(of, {}).get(written) or EVERYWHERE.get(written, written)
    return ours if ours in options else written


def squeezed(name: str) -> str:
    """`Robust-DPO`, `robust_dpo` and `RobustDPO` are one name."""
    return name.strip().lower().replace("-", "").replace("_", "")

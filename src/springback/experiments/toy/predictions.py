"""What the theory predicts of a reversal, as statistics with rules that are fixed before anything is trained.

Each part is one number a seed, from the cells of that seed alone. A prediction survives where the interval over seeds
lies inside every rule, fails where it lies outside one, and is undecided otherwise. What the count mixture itself gives
(theorem 4.2 in exact arithmetic at the same sizes) stands beside it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from springback.experiments.toy import statistic
from springback.experiments.toy.config import Toy
from springback.experiments.toy.statistic import Part

Source = Literal["theorem", "definition", "experiment", "control"]
"""Theorem 4.2 and what follows from it; definition 3.6; what the paper reports of experiments; our own comparison."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A sentence that can fail. It survives only where all its parts do."""

    name: str
    statement: str
    source: Source
    parts: Callable[[Toy], tuple[Part, ...]]
    needs: Callable[[Toy], str] = lambda _: ""
    """Why a configuration cannot test it; empty where it can."""


def half_in_reach(config: Toy) -> str:
    return "" if config.in_reach else "half of an alignment size has to be among --reverse-sizes"


def two_in_reach(config: Toy) -> str:
    return "" if len(config.in_reach) > 1 else "the halves of two alignment sizes have to be among --reverse-sizes"


def two_sizes(config: Toy) -> str:
    return "" if len(config.align_sizes) > 1 else "one alignment size: give several --align-sizes"


def two_volumes(config: Toy) -> str:
    return (
        "" if len(config.pretrain) > 1 else "one pretraining volume: give --pretrain 12000,48000,192000 or --thorough"
    )


def even_mix(config: Toy) -> str:
    mixed = 0.5 in config.mix and config.mix[0] < 0.5 and config.reverse_mix is None
    return "" if mixed else "no even mix beside a purer one: give --mix 0,0.1,0.5 or --thorough"


PREDICTIONS: Final = (
    Prediction("alignment_worsens", "γ of the alignment data rises when reversal data is learned.", "theorem",
               lambda c: statistic.moves(c, "aligned", 0.0, math.inf)),
    Prediction("pretraining_recovers", "γ of the pretraining data falls at the same time: the rebound.", "theorem",
               lambda c: statistic.moves(c, "pretraining", -math.inf, 0.0)),
    Prediction("beyond_placebo", "It falls further than after a placebo alignment of equal size.", "control",
               statistic.beyond_placebo),
    Prediction("k_fold_ratio", "Both change in the ratio of the volumes, dγ_a = −k·dγ_p.", "theorem",
               lambda c: statistic.share_of_ratio(c, c.first_look)),
    Prediction("hooke", "|D_i|·ΔKL(P_i‖θ) is equal and opposite: two springs in series, to l = 0.1.", "theorem",
               lambda c: statistic.share_of_ratio(c, statistic.tenth(c))),
    Prediction("returns_to_base", "A reversal of at most a quarter of the alignment brings the base back, to ε.",
               "definition", statistic.returns),
    Prediction("undoes_a_quarter", "At its closest point the reversal has undone a quarter of KL(base‖aligned).",
               "theorem", statistic.quarter, half_in_reach),
    Prediction("closest_at_half", "The closest point is at n* = N_a/2.", "theorem", statistic.half, half_in_reach),
    Prediction("closest_grows_linearly", "n* grows in proportion to N_a.", "theorem", statistic.linear, two_in_reach),
    Prediction("overshoots", "Past the closest point the reversal leads away from the base.", "theorem",
               statistic.overshoots, half_in_reach),
    Prediction("grows_with_alignment", "The rebound is deeper after a larger alignment.", "theorem",
               statistic.grows, two_sizes),
    Prediction("more_pretraining_undoes_more", "More pretraining: a larger share is undone.", "experiment",
               statistic.volume, two_volumes),
    Prediction("more_pretraining_is_faster", "More pretraining: reversal data is absorbed faster.", "experiment",
               statistic.absorbed, two_volumes),
    Prediction("even_mix_does_not_rebound", "With labels mixed 50/50 in both sets there is no rebound.", "theorem",
               statistic.mixed, even_mix),
)  # fmt: skip

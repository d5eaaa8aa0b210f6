"""Bradley–Terry (1952) reward loss, as Ouyang et al. (2022), Eq. 1, take it for K ranked answers to one prompt.

    ℓ = mean over pairs i ≻ j of  −log σ(r_i − r_j)                              nats; K = 2: −log σ(r_w − r_l)

The score is fixed up to a constant for each prompt (`centred.py` fixes it). What it does not guarantee: that a
difference is the right probability (see the calibration on held-out pairs), nor that the score knows more than length.

Elsewhere: TRL 1.16's RewardTrainer is the same. OpenRLHF 0.11's `LogExpLoss`, log(1 + exp(r_l − r_w)), takes a margin
and leaves it out, and without softplus it is infinite from a difference of 89 in float32; here any is finite.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.reward.rankings import Law, PerPrompt, Rankings, mean_over


@dataclass(frozen=True, slots=True)
class BradleyTerry:
    """Ties of the data are left out."""

    paper: ClassVar = papers.INSTRUCT
    breaks: ClassVar[frozenset[Law]] = frozenset()
    needs_margins: ClassVar = False

    def __call__(self, answers: Rankings) -> PerPrompt:
        return mean_over(-F.logsigmoid(answers.differences), answers.better)

"""Bradley–Terry with a margin (Touvron et al., 2023, *Llama 2*, Eq. 2).

    ℓ = mean over pairs i ≻ j of  −log σ(r_i − r_j − m_ij)                                                     nats

m ≥ 0 says how much better the better answer is: the data's own margin of a pair, or the difference of the answers'
stated scores times `scale`. It asks for larger differences where raters were surer. The differences of a model trained
so are no log-odds of being preferred: they exceed them by about m.

Elsewhere: TRL subtracts the column `margin`, whatever it holds (NaN makes the loss NaN); OpenRLHF 0.11's `PairWiseLoss`
subtracts it, its `LogExpLoss` does not.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.reward.rankings import Law, PerPrompt, Rankings, mean_over


@dataclass(frozen=True, slots=True)
class Margin:
    """Ties of the data are left out. `ValueError` where the answers carry neither margins nor stated scores apart."""

    paper: ClassVar = papers.LLAMA2
    breaks: ClassVar[frozenset[Law]] = frozenset({"two answers give Bradley-Terry"})
    needs_margins: ClassVar = True

    scale: float = 1.0
    """Score asked for per unit of the data's margin."""

    def __post_init__(self) -> None:
        if not 0 < self.scale < float("inf"):
            raise ValueError(f"scale must be a number > 0, got {self.scale}")

    def __call__(self, answers: Rankings) -> PerPrompt:
        stated = answers.relevance[:, :, None] - answers.relevance[:, None, :]
        margins = stated if answers.margin is None else answers.margin[:, None, None]
        return mean_over(-F.logsigmoid(answers.differences - self.scale * margins), answers.better)

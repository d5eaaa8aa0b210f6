"""Contrastive alignment of answer embeddings: chosen answers are pulled towards an anchor, rejected ones pushed off it.

    ℓ_i = mean over positives p of  −log [ e^{s(z_i, p)/τ} / (e^{s(z_i, p)/τ} + Σ_n e^{s(z_i, n)/τ}) ]
          + nll · −log π(y_w)/|y_w|        and with `_kl`  + kl · ½ Σ_{y = y_w, y_l} KL(π_ref ‖ π along y)/|y|

InfoNCE (van den Oord et al., 2018, Eq. 4) with cosine similarity s; a positive stands against the negatives only, not
against other positives, as in the supervised form of Khosla et al. (2020). `anchor` says what z_i and p are:

    chosen   z_i = the chosen answer, p = the other chosen answers of the batch: wanted answers come together
    prompt   z_i = the prompt, p = its chosen answer

Negatives are the rejected answers of the whole batch, or (`negatives=own`) of the pair alone. At equal similarities the
contrast is log(1 + number of negatives) at every temperature.

What it does not guarantee: that the model writes otherwise. No log-probability stands in the contrast, so the output
head and the blocks above `layer` have no gradient of it (a tied embedding has one as input only), and what happens to
log π of either answer is a by-product of the states that move: it may go either way. `nll` and `kl` hold the
distribution. With `anchor=chosen` answers to *different* prompts are pulled together: a batch whose chosen answers
share nothing else teaches that they are all alike. A pair with no positive (a batch of one) has no contrast, and the
same answer on both sides is pulled and pushed at once. Ours in detail: no paper trains on pairs in this way.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar, Final, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from springback import papers
from springback.train.preference import checks
from springback.train.preference.embeddings import Embeddings, States
from springback.train.preference.given import given
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair

WORDS: Final = {"pool": ("mean", "last"), "anchor": ("chosen", "prompt"), "negatives": ("batch", "own")}
"""What the options that are words may be."""
Table = Float[Tensor, "pair other"]


@dataclass(frozen=True, slots=True)
class InfoNCEEmbeddings:
    """InfoNCE over hidden states of both answers."""

    paper: ClassVar = papers.INFO_NCE
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "embeddings", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(get_args(Law))  # they are of log-probabilities
    formula: ClassVar = "InfoNCE over cosines of hidden states: anchor·chosen / τ against anchor·rejected / τ"

    layer: int = -1
    """Block behind which states are read, from 0; −1 is the last. Blocks above it learn nothing."""
    pool: str = "mean"
    """`mean` over an answer's positions, or its `last` one."""
    anchor: str = "chosen"
    """Pull `chosen` answers to each other, or each to its own `prompt`."""
    negatives: str = "batch"
    """Push off the rejected answers of the whole `batch`, or of the pair alone: `own`."""
    temperature: float = 0.1
    """Of cosines: smaller looks at the nearest negative only."""
    nll: float = 0.0
    """Weight of the chosen answer's mean −log π per token, nats."""

    def __post_init__(self) -> None:
        checks.positive(temperature=self.temperature)
        checks.at_least_zero(nll=self.nll)
        for name, known in WORDS.items():
            checks.require(getattr(self, name) in known, name, " or ".join(known), getattr(self, name))

    @property
    def states(self) -> States:
        """Which hidden states it is to be given."""
        return States(self.layer, self.pool)

    @property
    def least_batch(self) -> int:
        """Pairs below which there is nothing to pull to."""
        return 2 if self.anchor == "chosen" else 1

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs | None) -> PerPair:
        del reference
        return self.contrast(given(policy.embeddings, "embeddings")) - self.nll * policy.mean.chosen

    def contrast(self, found: Embeddings) -> PerPair:
        """The contrastive part: of each pair, 0 without a positive."""
        chosen, rejected, prompt = (F.normalize(each, dim=-1) for each in (found.chosen, found.rejected, found.prompt))
        anchor = chosen if self.anchor == "chosen" else prompt
        own = torch.eye(len(chosen), dtype=torch.bool, device=chosen.device)
        positive = ~own if self.anchor == "chosen" else own
        negative = torch.ones_like(own) if self.negatives == "batch" else own
        anchor = anchor / self.temperature
        return info_nce(anchor @ chosen.T, anchor @ rejected.T, positive, negative)


@dataclass(frozen=True, slots=True)
class InfoNCEEmbeddingsKL(InfoNCEEmbeddings):
    """The same, the distribution held where the reference has it along both answers."""

    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "embeddings", "lengths", "reference", "divergence"})
    formula: ClassVar = f"{InfoNCEEmbeddings.formula}, + kl·KL(ref ‖ π) per token"

    kl: float = 0.1
    """Weight of the mean KL(reference‖policy) per token of both answers, nats."""

    def __post_init__(self) -> None:
        InfoNCEEmbeddings.__post_init__(self)
        checks.at_least_zero(kl=self.kl)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs | None) -> PerPair:
        return InfoNCEEmbeddings.__call__(self, policy, reference) + self.kl * _per_token(policy)


def info_nce(
    towards: Table, off: Table, positive: Bool[Tensor, "pair other"], negative: Bool[Tensor, "pair other"]
) -> PerPair:
    """−log(e^p / (e^p + Σ e^n)), mean over each row's positives; 0 for a row without one.

    Scores of each anchor with the candidates to come near (`towards`) and to stay off, and which of them count.
    """
    pushed = off.masked_fill(~negative, -torch.inf).logsumexp(dim=1)
    each = F.softplus(pushed[:, None] - towards).where(positive, 0.0)
    return each.sum(dim=1) / positive.sum(dim=1).clamp_min(1)


def _per_token(policy: PairLogprobs) -> PerPair:
    along, lengths = given(policy.divergence, "divergence"), policy.lengths
    return (along.chosen / lengths.chosen.clamp_min(1) + along.rejected / lengths.rejected.clamp_min(1)) / 2

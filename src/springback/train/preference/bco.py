"""Binary Classifier Optimization (Jung et al., 2024): the logit of a classifier of wanted answers is the reward.

    ℓ = −log σ(r − δ)  of a wanted answer,   ℓ = −log σ(δ − r)  of an unwanted one
    r = β [log π(y|x) − log π_ref(y|x)],   δ = ½ (mean r of wanted answers + mean r of unwanted ones), without gradient

The binary cross-entropy bounds DPO's loss from above, and δ narrows the gap. Wanted answers keep being pushed up, so it
anchors both log-probabilities, but to δ, which moves with them: both may still fall together.

Who does what: TRL's BCOTrainer (until 1.x) took δ as the mean over all rewards since the start, this batch included; on
pairs that is `bco`. On labelled examples the classes weigh alike here, as the paper writes it, and by their counts
there. TRL's DPO loss `bco_pair` leaves δ out. The paper's matching of the prompts' distributions weighs unwanted
examples: `matching_weights`, handed in as `LabelledLogprobs.weights`.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from springback import papers
from springback.train.preference import checks
from springback.train.preference.labelled import LabelledLogprobs, PerExample
from springback.train.preference.method import Law, Need
from springback.train.preference.on_pairs import as_labelled
from springback.train.preference.pairs import PairLogprobs, PerPair

Seen = PairLogprobs | LabelledLogprobs


class Mean(NamedTuple):
    """Of the rewards of one kind of answer, and of how many."""

    mean: Float[Tensor, ""]
    n: Float[Tensor, ""]


@dataclass(frozen=True, slots=True)
class BCO:
    """With δ over all rewards so far, this batch's among them. One value an example; of a pair the sum of its two."""

    paper: ClassVar = papers.BCO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "labels", "reference", "statistics"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {
            "repetition does not matter",
            "log 2 at the reference",
            "only the margin matters",
            "each pair alone",
            "the gradient is the slope",
        }
    )
    formula: ClassVar = "−log σ(βa − δ) − log σ(δ − βb), δ = ½(mean βa + mean βb) so far, detached"

    beta: float = 0.1
    """Strength of the pull towards the reference; rewards are β times log-ratios."""
    wanted_mean: float = 0.0
    """Statistic: mean reward of the wanted answers before this step, nats times β."""
    wanted_count: float = 0.0
    """Statistic: how many wanted answers that mean is over."""
    unwanted_mean: float = 0.0
    """Statistic: mean reward of the unwanted answers before this step, nats times β."""
    unwanted_count: float = 0.0
    """Statistic: how many unwanted answers that mean is over."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta)
        checks.finite(wanted_mean=self.wanted_mean, unwanted_mean=self.unwanted_mean)
        checks.at_least_zero(wanted_count=self.wanted_count, unwanted_count=self.unwanted_count)

    def __call__(self, policy: Seen, reference: Seen) -> PerPair | PerExample:
        rewards, examples = _rewards(self.beta, policy, reference)
        return _per_item(policy, _losses(rewards - _middle(*self._means(rewards, examples)), examples))

    def after(self, policy: Seen, reference: Seen) -> "BCO":
        """The method of the next step, which has seen this batch."""
        wanted, unwanted = self._means(*_rewards(self.beta, policy, reference))
        return replace(
            self,
            wanted_mean=wanted.mean.item(),
            wanted_count=wanted.n.item(),
            unwanted_mean=unwanted.mean.item(),
            unwanted_count=unwanted.n.item(),
        )

    def _means(self, rewards: PerExample, examples: LabelledLogprobs) -> tuple[Mean, Mean]:
        return (
            _mean(rewards, examples.wanted, self.wanted_mean, self.wanted_count),
            _mean(rewards, ~examples.wanted, self.unwanted_mean, self.unwanted_count),
        )


@dataclass(frozen=True, slots=True)
class BCOBatch:
    """With δ of this batch alone."""

    paper: ClassVar = papers.BCO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "labels", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = BCO.breaks
    formula: ClassVar = "−log σ(βa − δ) − log σ(δ − βb), δ = ½(mean βa + mean βb) of the batch, detached"

    beta: float = 0.1
    """Strength of the pull towards the reference; rewards are β times log-ratios."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta)

    def __call__(self, policy: Seen, reference: Seen) -> PerPair | PerExample:
        return BCO(self.beta)(policy, reference)


@dataclass(frozen=True, slots=True)
class BCOPair:
    """Without δ: the form of TRL's DPO loss `bco_pair`."""

    paper: ClassVar = papers.BCO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "labels", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"repetition does not matter", "log 2 at the reference", "only the margin matters"}
    )
    formula: ClassVar = "−log σ(βa) − log σ(−βb)"

    beta: float = 0.1
    """Strength of the pull towards the reference; rewards are β times log-ratios."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta)

    def __call__(self, policy: Seen, reference: Seen) -> PerPair | PerExample:
        return _per_item(policy, _losses(*_rewards(self.beta, policy, reference)))


def matching_weights(wanted: PerExample, *, least: float = 0.5, most: float = 10.0) -> PerExample:
    """Importance of *unwanted* examples (§ on distribution matching): p / (1 − p), p = P(wanted prompts | prompt).

    `wanted` is a classifier's probability that the prompt comes from the wanted examples; bounds are TRL's. Wanted
    examples keep the weight 1. It is the ratio of densities only where the classifier saw as many of each.
    """
    return (wanted / (1 - wanted).clamp_min(1e-8)).clamp(least, most)


def _rewards(beta: float, policy: Seen, reference: Seen) -> tuple[PerExample, LabelledLogprobs]:
    examples = _labelled(policy)
    return beta * (examples.logprob - _labelled(reference).logprob), examples


def _labelled(batch: Seen) -> LabelledLogprobs:
    return as_labelled(batch) if isinstance(batch, PairLogprobs) else batch


def _losses(logits: PerExample, examples: LabelledLogprobs) -> PerExample:
    losses = -F.logsigmoid(logits.where(examples.wanted, -logits))
    return losses if examples.weights is None else losses * examples.weights


def _per_item(batch: Seen, losses: PerExample) -> PerPair | PerExample:
    return losses.unflatten(0, (2, -1)).sum(dim=0) if isinstance(batch, PairLogprobs) else losses


def _mean(rewards: PerExample, of: Tensor, before: float, count: float) -> Mean:
    here = rewards.detach()
    total = count + of.sum().to(here)
    return Mean((before * count + here.where(of, here.new_zeros(())).sum()) / total.clamp_min(1), total)


def _middle(wanted: Mean, unwanted: Mean) -> Float[Tensor, ""]:
    """δ; where one kind has never been seen, the other's mean."""
    has_wanted, has_unwanted = (kind.n.clamp(0, 1) for kind in (wanted, unwanted))
    return (has_wanted * wanted.mean + has_unwanted * unwanted.mean) / (has_wanted + has_unwanted).clamp_min(1)

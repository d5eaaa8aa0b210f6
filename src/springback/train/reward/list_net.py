"""ListNet, top one (Cao et al., 2007): cross-entropy between two distributions over a prompt's answers.

    ℓ = −Σ_i softmax(relevance)_i · log softmax(r)_i                                                          nats

The size of the relevances counts, not only their order: it says how sure the best answer is. The least value is the
entropy of softmax(relevance), not 0.
"""

from dataclasses import dataclass
from typing import ClassVar

from springback import papers
from springback.train.reward.rankings import Law, PerPrompt, Rankings


@dataclass(frozen=True, slots=True)
class ListNet:
    """One cross-entropy a prompt."""

    paper: ClassVar = papers.LISTNET
    breaks: ClassVar[frozenset[Law]] = frozenset({"two answers give Bradley-Terry", "equal answers are left alone"})
    needs_margins: ClassVar = False

    def __call__(self, answers: Rankings) -> PerPrompt:
        there = answers.there
        wanted = answers.relevance.to(answers.scores.dtype).masked_fill(~there, float("-inf")).softmax(1)
        scores = answers.scores.where(there, 0.0)
        logs = scores - scores.masked_fill(~there, float("-inf")).logsumexp(1, keepdim=True)
        return -(wanted * logs.where(there, 0.0)).sum(1)

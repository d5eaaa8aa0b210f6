"""Any member of the family on a batch of pairs: a pair is a list of two answers, or two labelled examples.

What a pair does not hold (`samples`, `scores` …) must stand in the method's own type of input; those members are
called as they are.
"""

from typing import Any

import torch

from springback.train.preference.labelled import LabelledLogprobs
from springback.train.preference.lists import ListLogprobs
from springback.train.preference.method import Method
from springback.train.preference.pairs import Both, PairLogprobs, PerPair


def per_pair(method: Method, policy: PairLogprobs, reference: PairLogprobs | None) -> PerPair:
    """Loss of each pair: of the list of two, or the mean over the pair's two examples."""
    if "lists" in method.needs:
        return method(as_lists(policy), _or_none(as_lists, reference))
    if "labels" in method.needs and "pairs" not in method.needs:
        examples = method(as_labelled(policy), _or_none(as_labelled, reference))
        return examples.unflatten(0, (2, -1)).mean(dim=0)
    return method(policy, reference)


def as_lists(pairs: PairLogprobs) -> ListLogprobs:
    """K = 2, the chosen answer first with relevance 1, the rejected one with 0."""
    both = torch.stack((pairs.chosen, pairs.rejected), dim=1)
    relevance = both.new_tensor([1.0, 0.0]).expand_as(both)
    tokens = pairs.tokens and torch.stack((pairs.tokens.chosen, pairs.tokens.rejected), dim=1)
    return ListLogprobs(both, relevance, tokens)


def as_labelled(pairs: PairLogprobs) -> LabelledLogprobs:
    """All chosen answers as wanted examples, then all rejected ones as unwanted."""
    wanted = torch.cat((torch.ones_like(pairs.chosen), torch.zeros_like(pairs.rejected))).bool()
    tokens = pairs.tokens and _end_to_end(pairs.tokens)
    return LabelledLogprobs(_end_to_end(pairs), wanted, tokens, pairs.mismatched)


def _end_to_end(both: Both | PairLogprobs) -> torch.Tensor:
    return torch.cat((both.chosen, both.rejected))


def _or_none(made: Any, pairs: PairLogprobs | None) -> Any:
    return None if pairs is None else made(pairs)

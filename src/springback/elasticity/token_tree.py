"""Token trees (definitions 3.1 and 3.3): a data set as a tree of prefixes, cut at a depth, whose leaves carry masses.

Ji et al. 2024, *Language Models Resist Alignment* (arXiv 2406.06144). A response is a path from the root; below its
last symbol hangs a leaf that ends it (`eos`). The weight of a leaf is the response's probability, that of a node the
sum over its leaves. The pruned tree of depth d has the root's d layers: every edge counts, the one to `eos` too, so a
response of at most d − 1 symbols is whole.

1. The printed sum runs over `eos` leaves only, so a longer response vanishes and weights do not sum to 1. Here what is
   cut has a policy: `leaf` makes the node at depth d a leaf with its subtree's mass, `drop` leaves longer responses out
   and rescales the rest. `TokenTree.cut` says how much mass was concerned.
2. A sample's tree has no masses for what the sample does not hold. They can be given to one `other` leaf, which also
   takes the leaves that were seen too rarely.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from springback.elasticity.masses import Masses
from springback.papers import ELASTICITY

PAPER = ELASTICITY
Cut = Literal["leaf", "drop"]


class Leaf(NamedTuple):
    """Where a path ends: at its own end, at the depth of the tree, or among what is not listed."""

    path: tuple[str, ...]
    end: Literal["eos", "cut", "other"]


OTHER = Leaf((), "other")
"""The leaf for all that is not listed."""


@dataclass(frozen=True, slots=True)
class TokenTree:
    """A pruned tree with its leaf masses, in the order of paths."""

    alphabet: tuple[str, ...]
    depth: int
    leaves: Mapping[Leaf, float]
    """Mass of each leaf; they sum to 1."""
    cut: float
    """Mass of the responses longer than depth − 1, before the policy; 0 to 1."""

    @property
    def masses(self) -> Masses:
        return np.array(list(self.leaves.values()), dtype=np.float64)

    def node(self, prefix: Sequence[str]) -> float:
        """Weight of the node at a prefix: the sum of its leaves'. The other leaf hangs from the root."""
        wanted = tuple(prefix)
        return sum((mass for leaf, mass in self.leaves.items() if leaf.path[: len(wanted)] == wanted), 0.0)


def token_tree(
    responses: Mapping[tuple[str, ...], float], *, alphabet: Sequence[str], depth: int, cut: Cut = "leaf"
) -> TokenTree:
    """The tree of a data set whose responses have these weights (any positive scale), with every symbol a string.

    ValueError for a symbol outside the alphabet, no weight at all, a negative one, a depth below 1, or where `drop`
    would leave nothing.
    """
    _check(responses, alphabet, depth)
    total = sum(responses.values())
    found: dict[Leaf, float] = {}
    for path, weight in responses.items():
        leaf = Leaf(path, "eos") if len(path) < depth else Leaf(path[:depth], "cut")
        found[leaf] = found.get(leaf, 0.0) + weight / total
    lost = sum(mass for leaf, mass in found.items() if leaf.end == "cut")
    if cut == "drop":
        found = _dropped(found, lost, depth)
    return TokenTree(tuple(alphabet), depth, _ordered(found), float(lost))


def empirical_tree(
    sample: Iterable[Sequence[str]],
    *,
    alphabet: Sequence[str],
    depth: int,
    least: int = 1,
    unseen: float = 0.0,
    cut: Cut = "leaf",
) -> TokenTree:
    """The tree of a sample, with an `other` leaf: `unseen` mass, and the mass of leaves seen fewer than `least` times.

    The other leaf is there whenever its mass is positive. Good and Turing's guess for `unseen` is the share of
    responses that were seen once. ValueError as for `token_tree`, or where `unseen` is not in [0, 1).
    """
    if not 0 <= unseen < 1:
        raise ValueError(f"The unseen mass is at least 0 and below 1, got {unseen:g}.")
    counts = Counter(tuple(response) for response in sample)
    whole = token_tree({path: float(n) for path, n in counts.items()}, alphabet=alphabet, depth=depth, cut=cut)
    kept_n = sum(counts.values()) * (1.0 if cut == "leaf" else 1 - whole.cut)
    kept = {leaf: mass * (1 - unseen) for leaf, mass in whole.leaves.items() if mass * kept_n > least - 0.5}
    if (rest := 1.0 - sum(kept.values())) > 1e-12:
        kept[OTHER] = rest
    return TokenTree(whole.alphabet, depth, _ordered(kept), whole.cut)


def _check(responses: Mapping[tuple[str, ...], float], alphabet: Sequence[str], depth: int) -> None:
    if depth < 1 or not alphabet or len(set(alphabet)) < len(alphabet):
        raise ValueError(f"A tree needs a depth of at least 1 and distinct symbols: got {depth}, {list(alphabet)}.")
    if not sum(responses.values()) > 0 or min(responses.values()) < 0:
        raise ValueError("Weights of responses are at least 0 and not all 0.")
    if strange := {symbol for path in responses for symbol in path} - set(alphabet):
        raise ValueError(f"Symbols outside the alphabet: {sorted(strange)}.")


def _dropped(found: Mapping[Leaf, float], lost: float, depth: int) -> dict[Leaf, float]:
    kept = {leaf: mass for leaf, mass in found.items() if leaf.end != "cut"}
    if not sum(kept.values()) > 0:
        raise ValueError(f"Every response is longer than {depth - 1} symbols: dropping them leaves no tree.")
    return {leaf: mass / (1 - lost) for leaf, mass in kept.items()}


def _ordered(leaves: Mapping[Leaf, float]) -> dict[Leaf, float]:
    return {leaf: float(leaves[leaf]) for leaf in sorted(leaves)}

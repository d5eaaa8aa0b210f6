"""Huffman code of the leaves of a token tree, and the three code lengths that definition 3.3 and theorem 3.4 mix up.

Huffman 1952; Ji et al. 2024, *Language Models Resist Alignment* (arXiv 2406.06144). For leaf masses p:

    ideal     H = −Σ p·log₂ p                        what an arithmetic coder reaches, and what γ is made of
    printed   ⌈H⌉                                    theorem 3.4's length of a block; it is no code's length
    Huffman   L = Σ p·length,  H ≤ L < H + 1         the best code with whole bits for each leaf

⌈H⌉ can lie on either side of L: masses (.9, .05, .05) have H = 0.569, ⌈H⌉ = 1, L = 1.1; (.5, .25, .25) have 1.5, 2
and 1.5.
Huffman lengths are piecewise constant in the masses, so a derivative such as theorem 4.2's is of the ideal length.

1. Ties are broken by the order of the leaves, so a code is the same everywhere. Code words are canonical: in the order
   of length, then of leaf, each the next number.
2. A single leaf has the empty word: 0 bits, as its entropy says. A leaf of mass 0 has no word.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from springback.elasticity.masses import Masses
from springback.papers import ELASTICITY

PAPER = ELASTICITY


@dataclass(frozen=True, slots=True)
class HuffmanCode:
    """An optimal prefix code; one entry a leaf, in the leaves' order."""

    lengths: tuple[int | None, ...]
    """Bits of each word; None for a leaf of mass 0."""
    words: tuple[str | None, ...]
    """Canonical words of `0` and `1`."""
    mean_length: float
    """Σ p·length in bits; ≥ the entropy and less than one bit above it."""


class BlockLengths(NamedTuple):
    """Bits for one block of d symbols; lower = shorter."""

    ideal: float
    printed: int
    huffman: float


def huffman(masses: Sequence[float] | Masses) -> HuffmanCode:
    """The code of leaves with these masses. ValueError where they are no distribution (within 1e-9)."""
    p = _distribution(masses)
    lengths = _lengths(p)
    return HuffmanCode(lengths, _canonical(lengths), _mean(p, lengths))


def entropy(masses: Sequence[float] | Masses) -> float:
    """H in bits, 0 to log₂ of the number of leaves."""
    p = _distribution(masses)
    held = p[p > 0]
    return float(-(held @ np.log2(held))) + 0.0


def block_lengths(masses: Sequence[float] | Masses) -> BlockLengths:
    """The three lengths of one block. ⌈H⌉ of an H within 1e-9 above a whole number is that number."""
    ideal, p = entropy(masses), _distribution(masses)
    return BlockLengths(ideal, math.ceil(ideal - 1e-9), _mean(p, _lengths(p)))


def text_lengths(symbols: int, *, depth: int, masses: Sequence[float] | Masses) -> BlockLengths:
    """Theorem 3.4: bits for a text of |x| = `symbols` symbols in ⌈|x|/d⌉ blocks, in each of the three ways."""
    if symbols < 0 or depth < 1:
        raise ValueError(f"A text has at least 0 symbols and a block at least 1: got {symbols} and {depth}.")
    blocks, one = -(-symbols // depth), block_lengths(masses)
    return BlockLengths(blocks * one.ideal, blocks * one.printed, blocks * one.huffman)


def _distribution(masses: Sequence[float] | Masses) -> Masses:
    p = np.asarray(masses, dtype=np.float64)
    if p.ndim != 1 or not p.size or not np.isfinite(p).all() or (p < 0).any() or abs(p.sum() - 1) > 1e-9:
        raise ValueError("Leaf masses are at least 0 and sum to 1.")
    return p


def _mean(p: Masses, lengths: Sequence[int | None]) -> float:
    return float(p @ np.array([length or 0 for length in lengths], dtype=np.float64))


def _lengths(p: Masses) -> tuple[int | None, ...]:
    """Depth of each leaf of positive mass in Huffman's tree.

    Two queues in order of mass (van Leeuwen 1976): the leaves, and the nodes in the order they are made. A leaf goes
    before a node of equal mass.
    """
    leaves = [leaf for leaf in np.argsort(p, kind="stable").tolist() if p[leaf] > 0]
    order, made = [*p[leaves].tolist(), math.inf], [math.inf]
    parent: dict[int, int] = {}
    leaf = node = 0

    def lightest() -> tuple[float, int]:
        nonlocal leaf, node
        if order[leaf] <= made[node]:
            leaf += 1
            return order[leaf - 1], leaves[leaf - 1]
        node += 1
        return made[node - 1], p.size + node - 1

    for number in range(len(leaves) - 1):
        (light, first), (heavy, second) = lightest(), lightest()
        parent[first] = parent[second] = p.size + number
        made[-1:] = [light + heavy, math.inf]
    return _depths(parent, p.size, leaves)


def _depths(parent: dict[int, int], leaves: int, held: Sequence[int]) -> tuple[int | None, ...]:
    """Steps to the root, which is the node made last; a parent has a greater number than its children."""
    depth = {max(parent.values(), default=held[0]): 0}
    for node in range(leaves + len(held) - 3, leaves - 1, -1):
        depth[node] = depth[parent[node]] + 1
    return tuple(depth[parent[leaf]] + 1 if leaf in parent else depth.get(leaf) for leaf in range(leaves))


def _canonical(lengths: Sequence[int | None]) -> tuple[str | None, ...]:
    words: list[str | None] = [None] * len(lengths)
    for leaf, word in _counted(sorted((length, leaf) for leaf, length in enumerate(lengths) if length is not None)):
        words[leaf] = word
    return tuple(words)


def _counted(order: Sequence[tuple[int, int]]) -> Iterator[tuple[int, str]]:
    number, before = 0, 0
    for length, leaf in order:
        number <<= length - before
        yield leaf, f"{number:0{length}b}" if length else ""
        number, before = number + 1, length

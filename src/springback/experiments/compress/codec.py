"""The tokens of a text as one arithmetic code, and back: all blocks in one stream, by step and then by block."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from springback.elasticity.arithmetic_code import Decoder, Distribution, Encoder, excess_bits
from springback.errors import RefusedError
from springback.experiments.compress.lockstep import Layout, cut, walk

Report = Callable[[int, int], None]
"""Is told tokens done and tokens in all."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded text."""

    payload: bytes
    bits: int
    """Of the payload; the last byte may be filled up."""
    cross_entropy_bits: float
    """Σ −log₂ p of the tokens, each in its block, in float64 from the logits that were coded with."""
    excess_bits: float
    """Most bits that integer counts may have added."""
    probe: str
    """Of the first distributions: another machine that computes other ones is noticed before it decodes."""

    @property
    def within_bound(self) -> bool:
        """Whether the code is as short as it must be: cross-entropy + 2 bits + quantisation."""
        return self.bits <= self.cross_entropy_bits + 2 + self.excess_bits


def encode_tokens(network: nn.Module, tokens: Sequence[int], layout: Layout, *, report: Report) -> Code:
    """Code all tokens; `layout.tokens` of them."""
    blocks, coder, probe = [iter(block) for block in cut(tokens, layout)], Encoder(), _Probe()
    bits, vocabulary, done = 0.0, 1, 0

    def choose(logits: NDArray[np.float32]) -> list[int]:
        nonlocal bits, vocabulary, done
        probe.see(logits)
        chosen = [next(block) for block in blocks[: len(logits)]]
        for row, token in zip(logits, chosen, strict=True):
            distribution = Distribution(row)
            coder.put(distribution.interval(token))
            bits += distribution.bits(token)
        vocabulary, done = logits.shape[1], done + len(chosen)
        report(done, layout.tokens)
        return chosen

    walk(network, layout, choose)
    payload, length = coder.finish()
    return Code(payload, length, bits, excess_bits(layout.tokens, vocabulary), probe.digest)


def decode_tokens(network: nn.Module, payload: bytes, layout: Layout, *, probe: str, report: Report) -> list[int]:
    """The tokens again. RefusedError where the first distributions are not those that the text was coded with."""
    coder, seen, done = Decoder(payload), _Probe(), 0

    def choose(logits: NDArray[np.float32]) -> list[int]:
        nonlocal done
        if seen.see(logits) and seen.digest != probe:
            raise other_logits()
        chosen = [coder.take(Distribution(row)) for row in logits]
        done += len(chosen)
        report(done, layout.tokens)
        return chosen

    return [token for block in walk(network, layout, choose) for token in block]


def other_logits() -> RefusedError:
    """What is said where the model is the same and its logits are not."""
    return RefusedError(
        "The model computes other logits here than where this file was packed; the text cannot be had back here.",
        kind="checksum", next="Unpack it with the versions, device, processor kind and threads that its header names.",
    )  # fmt: skip


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads inside: another number may sum in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Probe:
    """A digest of the first block's first distributions, all but the first of which have been through attention."""

    STEPS = 8

    def __init__(self) -> None:
        self._hash, self._steps, self.digest = hashlib.sha256(), 0, ""

    def see(self, logits: NDArray[np.float32]) -> bool:
        """Whether the digest is complete with this step."""
        self._steps += 1
        if self._steps > self.STEPS:
            return False
        self._hash.update(Distribution(logits[0]).digest_bytes())
        self.digest = self._hash.hexdigest()[:16]
        return self._steps == self.STEPS

"""Code length and compression rate of answers, from log-probabilities and byte counts.

Ji et al. 2024, *Language Models Resist Alignment* (arXiv 2406.06144), definition 3.5: γ = code length / length of the
text. An ideal arithmetic coder driven by the model needs Σ −log₂ p bits; the text has 8 bits a UTF-8 byte.

1. The paper's rate is a mean of ratios (`macro`); the headline here is the ratio of sums (`micro`), which short answers
   cannot blow up.
2. Bytes, not tokens · log₂|V|: so rates under different tokenizers can be compared.
3. The stop token carries bits and no bytes. It is counted; `bits_without_stop` leaves it out.

It does not guarantee the length of the best code: a tokenizer can spell a text in several ways and only one of them is
scored, so γ is an upper bound.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float64
from torch import Tensor

from springback.papers import ELASTICITY
from springback.stats.measured import Measured, mean, ratio_of_sums

PAPER = ELASTICITY


@dataclass(frozen=True, slots=True)
class CodeLength:
    """What one answer costs to write down under a model."""

    bits: float
    """−Σ log₂ p over the answer's tokens, its stop included; ≥ 0."""
    bits_without_stop: float
    """The same without the stop tokens."""
    bytes: int
    """UTF-8 bytes of the answer's text; at least 1."""

    def __post_init__(self) -> None:
        if self.bytes < 1:
            raise ValueError("A text of no bytes has no compression rate: leave empty answers out and count them.")
        if not math.isfinite(self.bits):
            raise ValueError(f"A code length is finite; this answer has {self.bits} bits.")

    @property
    def rate(self) -> float:
        """γ of this answer alone, bits of code per bit of text; lower = closer to the model."""
        return self.bits / (8 * self.bytes)


@dataclass(frozen=True, slots=True)
class Gamma:
    """Compression rate of a set of answers in bits of code per bit of text; lower = closer to the model."""

    micro: Measured
    """Σ bits / Σ 8·bytes."""
    macro: Measured
    """Mean of the answers' own rates."""
    micro_without_stop: Measured
    bytes: int
    documents: int

    def json(self) -> dict[str, object]:
        """As `cell` records carry it."""
        rates = {name: getattr(self, name).json() for name in ("micro", "macro", "micro_without_stop")}
        return {**rates, "bytes": self.bytes, "documents": self.documents}


def code_length(logprobs: Float64[Tensor, " answer"], *, stop: int, answer_bytes: int) -> CodeLength:
    """From the log-probabilities (nats) of one answer, whose last `stop` tokens end the turn.

    ValueError for an answer of no bytes (its rate is undefined) and where a token had probability 0.
    """
    if not 0 <= stop <= len(logprobs):
        raise ValueError(f"{stop} stop tokens do not fit into an answer of {len(logprobs)}.")
    text = float(logprobs[: len(logprobs) - stop].sum())
    return CodeLength(_bits(text + float(logprobs[len(logprobs) - stop :].sum())), _bits(text), answer_bytes)


def gamma(answers: Sequence[CodeLength], *, over: str = "documents") -> Gamma:
    """Micro, macro and micro without stop, with intervals over the answers. One answer has a rate and no interval."""
    sizes = [8.0 * answer.bytes for answer in answers]
    return Gamma(
        _ratio([answer.bits for answer in answers], sizes, over),
        _alone(answers[0].rate, over) if len(answers) == 1 else mean([a.rate for a in answers], over=over, unit=UNIT),
        _ratio([answer.bits_without_stop for answer in answers], sizes, over),
        sum(answer.bytes for answer in answers),
        len(answers),
    )


def margin(wanted: CodeLength, opposite: CodeLength) -> float:
    """How much cheaper the wanted answer is, in bits of code per bit of its own text; higher = more aligned.

    γ(opposite) − γ(wanted): the difference of log-probabilities, each divided by its own length.
    """
    return opposite.rate - wanted.rate


UNIT = "bit/bit"


def _ratio(bits: Sequence[float], sizes: Sequence[float], over: str) -> Measured:
    if len(bits) == 1:
        return _alone(bits[0] / sizes[0], over)
    return ratio_of_sums(bits, sizes, over=over, unit=UNIT)


def _alone(rate: float, over: str) -> Measured:
    return Measured(rate, n=1, over=over, unit=UNIT, why=f"one of the {over}: no interval over {over}")


def _bits(nats: float) -> float:
    return 0.0 - nats / math.log(2)

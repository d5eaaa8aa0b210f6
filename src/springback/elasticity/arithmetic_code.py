"""Arithmetic coding under integer distributions made from logits: a text in its code length plus at most two bits.

Witten, Neal and Cleary 1987, *Arithmetic Coding for Data Compression*; the carry is resolved in the written bytes, as
in Martin's range coder (1979). A symbol with count c of a total T narrows an interval by c / T.

    c_s = 1 + ⌊2^40 · exp(l_s − max l)⌋         T = Σ c_s, so every symbol has a place and no float is ever summed

1. Counts have 40 bits, the interval 96. A symbol costs at most log₂(1 + |V|·2^-40) + 2^-25 bits more than −log₂ p
   (`excess_bits`): 1e-7 bit for a vocabulary of 50,000. A float32 cumulative distribution would cost 1e-2.
2. Counts need not sum to a power of two: normalising would need a sum of floats, whose last bit depends on its order.

It does not guarantee that another machine decodes: encoder and decoder must be given bit-equal logits, and a wrong bit
is not noticed here.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

COUNT_BITS: Final = 40
"""Of the likeliest symbol's count."""
WIDTH: Final = 96
"""Bits of the interval; after every symbol more than WIDTH − 8 of them are in use."""
LARGEST_VOCABULARY: Final = 2**22
_LOW: Final = (1 << WIDTH) - 1
_SMALL: Final = 1 << (WIDTH - 8)


class Interval(NamedTuple):
    """A symbol's share: counts `low` to `high` of `total`."""

    low: int
    high: int
    total: int


class Distribution:
    """Integer counts of one row of logits."""

    def __init__(self, logits: NDArray[np.float32]) -> None:
        """ValueError where the logits are no distribution: NaN, +∞, nothing but −∞, or none at all."""
        if logits.ndim != 1 or not 1 <= logits.size <= LARGEST_VOCABULARY:
            raise ValueError(f"A distribution is one row of 1 to {LARGEST_VOCABULARY:,} logits: got {logits.shape}.")
        peak = float(logits.max())
        if not math.isfinite(peak):
            raise ValueError("The network's logits are not finite: no code can be made from them.")
        self._mass = np.exp(logits.astype(np.float64) - peak)
        self._counts = (self._mass * float(1 << COUNT_BITS)).astype(np.int64) + 1
        self.total = int(self._counts.sum())

    def interval(self, symbol: int) -> Interval:
        low = int(self._counts[:symbol].sum())
        return Interval(low, low + int(self._counts[symbol]), self.total)

    def at(self, place: int) -> int:
        """The symbol whose interval holds `place`, 0 ≤ place < total."""
        return int(np.searchsorted(np.cumsum(self._counts), place, side="right"))

    def bits(self, symbol: int) -> float:
        """−log₂ p(symbol) of the real distribution, in bits; ∞ where its probability is below the smallest float."""
        mass = float(self._mass[symbol])
        return math.log2(float(self._mass.sum())) - math.log2(mass) if mass else math.inf

    def digest_bytes(self) -> bytes:
        """The counts as bytes, the same on every machine that computed the same."""
        return self._counts.astype("<i8").tobytes()


class Encoder:
    """Symbols in, bytes out."""

    def __init__(self) -> None:
        self._low, self._range, self._out = 0, 1 << WIDTH, bytearray()

    def put(self, share: Interval) -> None:
        step = self._range // share.total
        self._low += step * share.low
        self._range = step * (share.high - share.low)
        self._carry()
        while self._range <= _SMALL:
            self._out.append(self._low >> (WIDTH - 8))
            self._low = (self._low << 8) & _LOW
            self._range <<= 8

    def _carry(self) -> None:
        if self._low <= _LOW:
            return
        self._low &= _LOW
        place = len(self._out) - 1
        while self._out[place] == 0xFF:
            self._out[place] = 0
            place -= 1
        self._out[place] += 1

    def finish(self) -> tuple[bytes, int]:
        """All bytes, and how many of their bits are the code: the fewest that no further bits lead out of the interval.

        At most 2 more than the interval's −log₂; the rest of the last byte is zeros.
        """
        end = self._low + self._range
        kept = next(bits for bits in range(WIDTH + 1) if self._ending(bits) + (1 << (WIDTH - bits)) <= end)
        self._low = self._ending(kept)
        self._range = 0
        self._carry()
        tail = (self._low >> (WIDTH - 8 * -(-kept // 8))).to_bytes(-(-kept // 8), "big")
        return bytes(self._out) + tail, 8 * len(self._out) + kept

    def _ending(self, bits: int) -> int:
        """The smallest number from `low` on whose bits after the first `bits` are all 0."""
        unit = 1 << (WIDTH - bits)
        return -(-self._low // unit) * unit


class Decoder:
    """Bytes in, symbols out; past the end of the bytes it reads zeros."""

    def __init__(self, code: bytes) -> None:
        first = WIDTH // 8
        self._code, self._next, self._range = code, first, 1 << WIDTH
        self._above = int.from_bytes(code[:first].ljust(first, b"\0"), "big")

    def take(self, distribution: Distribution) -> int:
        """The next symbol. Bytes that no encoder wrote give some symbol, never an error."""
        step = self._range // distribution.total
        symbol = distribution.at(min(self._above // step, distribution.total - 1))
        share = distribution.interval(symbol)
        self._above = max(0, self._above - step * share.low)
        self._range = step * (share.high - share.low)
        while self._range <= _SMALL:
            byte = self._code[self._next] if self._next < len(self._code) else 0
            self._above = (self._above << 8) | byte
            self._next += 1
            self._range <<= 8
        return symbol


def excess_bits(symbols: int, vocabulary: int) -> float:
    """Most bits by which integer counts and the interval's rounding lengthen the code, the ending not included."""
    return symbols * (math.log2(1 + vocabulary / 2**COUNT_BITS) + 2.0**-25)

"""How many pairs an audit takes, and which sizes a file with fewer can carry."""

from dataclasses import dataclass
from typing import Final

from springback.data.source import refuse


@dataclass(frozen=True, slots=True)
class Sizes:
    """What an audit asks of its data."""

    align: int
    """Largest N, examples."""
    reverse: int
    """Largest n, examples."""
    measure: int
    """Held-out pairs."""
    align_mix: int = 0
    """Percent of opposite rows among the aligning ones."""
    reverse_mix: int = 0
    """Percent of wanted rows among the reversing ones."""

    @property
    def opposite_aside(self) -> int:
        """Opposite rows that aligning, mixed or benign, takes beside the reversal's: at least half of N."""
        return max(-(-self.align // 2), self.align * self.align_mix // 100)

    @property
    def tuning(self) -> int:
        """Pairs that the four arms take: max(N + n/2, n + N/2 + n/2), halves rounded up; more where mixes take more."""
        half = -(-self.reverse // 2)
        wanted_aside = max(half, self.reverse * self.reverse_mix // 100)
        return max(self.align + wanted_aside, self.reverse + self.opposite_aside + half)

    def require(self, usable: int, *, in_file: int) -> None:
        """Refuse where `usable` pairs beside the measured ones are too few for tuning."""
        if min(self.align, self.reverse, self.measure) < 1:
            raise ValueError(f"Sizes are at least 1 example: got {self}")
        if usable >= self.tuning and in_file > self.measure:
            return
        repeated = max(in_file - self.measure, 0) - usable
        refuse(
            f"Too few rows: needs {self.tuning} pairs to tune and {self.measure} to measure = "
            f"{self.tuning + self.measure} pairs; the data has {in_file}"
            + (f", of which {repeated} repeat a measured row." if repeated else "."),
            where="--align-sizes", next_step=advice(usable + min(self.measure, in_file)),
        )  # fmt: skip


def advice(pairs: int) -> str:
    """Sizes for which so many pairs are enough, as options; otherwise how many rows it takes."""
    fits = largest_that_fit(pairs)
    if fits is None:
        return f"Give more rows: the smallest audit takes {SMALLEST.tuning + SMALLEST.measure} pairs."
    return (
        f"Give more rows, or take --align-sizes {_nested(fits.align)} --reverse-sizes {_nested(fits.reverse)} "
        f"--pairs {fits.measure}: {fits.tuning} + {fits.measure} = {fits.tuning + fits.measure} pairs "
        "(sizes are multiples of the batch)."
    )


def largest_that_fit(pairs: int) -> Sizes | None:
    """The largest N = 2n, a multiple of 16 where that fits and else of 8, with a fifth of the pairs for measuring."""
    measure = min(48, max(SMALLEST.measure, pairs // 5))
    for align in (*range(512, 15, -16), SMALLEST.align):
        sizes = Sizes(align, align // 2, measure)
        if sizes.tuning + measure <= pairs:
            return sizes
    return None


SMALLEST: Final = Sizes(align=8, reverse=4, measure=4)


def _nested(size: int) -> str:
    return f"{size // 2},{size}"

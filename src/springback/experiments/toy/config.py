"""What the toy laboratory is asked: every option with its unit and default. Torch-free, so `--help` is quick."""

from dataclasses import dataclass
from typing import Final, Literal

from springback.elasticity.overlap import Overlap
from springback.errors import RefusedError

LONGEST: Final = 14
"""Symbols: 16,384 strings are scored at every point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """Pretrain, align, reverse; read exactly. Field docstrings are the help of the command line."""

    length: int = 10
    """Length of a string in binary symbols: 2^length strings, 4 to 14."""
    pretrain: tuple[int, ...] = (120_000,)
    """Pretraining volumes, in strings: nested; more than one asks what volume does, the last is the reference."""
    align_sizes: tuple[int, ...] = (128, 512, 2048, 8192)
    """Sizes of the alignment, in strings; nested, multiples of the batch."""
    reverse_sizes: tuple[int, ...] = (32, 64, 128, 256, 512, 1024, 2048)
    """Sizes of the reversal, in strings; nested, multiples of the batch."""
    mix: tuple[float, ...] = (0.0,)
    """Shares of the other label in the alignment set, 0 to 1, the reference first; the reversal has as much of ours."""
    reverse_mix: float | None = None
    """Share of the alignment's label in every reversal set, 0 to 1 (default: that of --mix)."""
    early: int | None = None
    """Reversal size, in strings, at which signs and the ratio are read (default: the third of --reverse-sizes)."""
    tolerance: float = 0.01
    """ε of definition 3.6: a model this near to the base has returned, KL(base‖model) in bits per string."""
    masses: Literal["pareto", "uniform"] = "pareto"
    """Masses of the strings within a source."""
    alpha: float = 1.2
    """Shape of the Pareto masses, above 0; smaller = heavier tail."""
    overlap: str = "disjoint"
    """Supports of the three sources: `disjoint` thirds, `full`, a share 0 to 1 of P2 within P3, or `full:SHARE`."""
    order: Literal["scattered", "runs"] = "scattered"
    """Which strings a third holds: any (shuffled by the seed), or a run of neighbours that share a beginning."""
    width: int = 64
    """Units of the residual stream; a multiple of the heads."""
    layers: int = 2
    """Blocks of the transformer."""
    heads: int = 2
    """Attention heads of a block."""
    learning_rate: float = 3e-4
    """AdamW, constant, a fresh state for each phase."""
    batch: int = 32
    """Strings an optimiser step."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds, each with its own sources, weights and order; intervals over seeds need three."""
    keep_checkpoints: bool = False
    """Keep the weights; else they are deleted when the run is complete."""

    def __post_init__(self) -> None:
        _require(4 <= self.length <= LONGEST, "length", f"is 4 to {LONGEST}", self.length)
        for name in ("width", "layers", "heads", "batch"):
            _require(getattr(self, name) >= 1, name, "is at least 1", getattr(self, name))
        _require(self.width % self.heads == 0, "width", f"is a multiple of the {self.heads} heads", self.width)
        for name in ("pretrain", "align_sizes", "reverse_sizes"):
            self._sizes(name)
        _require(
            self.early is None or self.early in self.reverse_sizes, "early", "is one of --reverse-sizes", self.early
        )
        _require(all(0 <= m <= 1 for m in self.mix), "mix", "is a share from 0 to 1", self.mix)
        _require(self.reverse_mix is None or 0 <= self.reverse_mix <= 1, "reverse_mix", "is 0 to 1", self.reverse_mix)
        _require(
            min(self.alpha, self.learning_rate, self.tolerance) > 0,
            "alpha",
            "and --learning-rate and --tolerance are above 0",
            (self.alpha, self.learning_rate, self.tolerance),
        )
        for name in ("mix", "seeds"):
            given = getattr(self, name)
            _require(bool(given) and len(set(given)) == len(given), name, "has each value once", given)
        _require(min(self.seeds) >= 0, "seeds", "are at least 0", self.seeds)
        _require(_is_overlap(self.overlap), "overlap", "is disjoint, full, a share 0 to 1 or full:SHARE", self.overlap)

    def _sizes(self, name: str) -> None:
        sizes = getattr(self, name)
        rising = bool(sizes) and list(sizes) == sorted(set(sizes)) and sizes[0] >= 1
        _require(
            rising and all(n % self.batch == 0 for n in sizes),
            name,
            f"are increasing multiples of the batch of {self.batch}",
            sizes,
        )

    @property
    def reference(self) -> tuple[int, float]:
        """Pretraining volume and mix that every prediction is read at, unless it is about them."""
        return self.pretrain[-1], self.mix[0]

    @property
    def first_look(self) -> int:
        """`early`, or its default: strings."""
        return self.reverse_sizes[:3][-1] if self.early is None else self.early

    @property
    def in_reach(self) -> tuple[int, ...]:
        """Alignment sizes whose half is one of the reversal sizes, so that the theory's closest point is read."""
        return tuple(n for n in self.align_sizes if n // 2 in self.reverse_sizes and not n % 2)

    def look_after(self, aligned: int) -> int:
        """Where stiffness is read after an alignment: `first_look`, or the largest size within a quarter of it."""
        within = [n for n in self.reverse_sizes if n <= min(self.first_look, aligned / 4)]
        return within[-1] if within else self.reverse_sizes[0]

    @property
    def worlds(self) -> tuple[tuple[int, float], ...]:
        """Pretraining volumes at the first mix, then the other mixes at the reference volume."""
        return (*((n, self.mix[0]) for n in self.pretrain), *((self.pretrain[-1], m) for m in self.mix[1:]))

    def shares(self, mix: float) -> tuple[float, float]:
        """Share of the other label in the alignment set, and of the alignment's label in the reversal set."""
        return mix, mix if self.reverse_mix is None else self.reverse_mix


PRESETS: Final[dict[str, dict[str, object]]] = {
    "thorough": {"pretrain": (12_000, 48_000, 192_000), "mix": (0.0, 0.1, 0.5), "seeds": (0, 1, 2, 3, 4)},
}  # fmt: skip


def _is_overlap(text: str) -> bool:
    try:
        Overlap.named(text)
    except ValueError:
        return False
    return True


def _require(holds: bool, name: str, words: str, given: object) -> None:  # noqa: FBT001
    if not holds:
        option = f"--{name.replace('_', '-')}"
        shown = ", ".join(map(str, given)) if isinstance(given, tuple) else given
        raise RefusedError(
            f"{option} {words}; given was {shown or 'nothing'}", kind="option", where=option,
            next="See `springback toy --help`.",
        )  # fmt: skip

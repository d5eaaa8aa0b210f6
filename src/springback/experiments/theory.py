"""Theorem 4.2 as a table: closed form, finite differences and autograd side by side, with Huffman and Hooke beside it.

Every row can be computed again from what it carries (k, l, depth, masses, alpha, seed, overlap), by the definitions in
`elasticity/masses.py` and `elasticity/mixture.py`. No model and no data are read. No torch is imported before a row is.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from springback.elasticity.overlap import Overlap
from springback.errors import RefusedError
from springback.papers import ELASTICITY
from springback.store import provenance
from springback.store.run import Run, default_dir

if TYPE_CHECKING:
    from springback.elasticity.masses import Sources
    from springback.elasticity.mixture import Mixture, Rates

DEEPEST: Final = 20
"""A tree of this depth has 1,048,576 leaves; a deeper one would take minutes a row."""
LARGEST: Final = 1e9
"""From k = 10⁹ on, a derivative in float64 has fewer than six digits."""
STRETCH: Final = 0.1
"""How far D_t grows for Hooke's law, from l = 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TheoryConfig:
    """Which rows to compute. Sizes are in units of |D_a|, the alignment set."""

    k: tuple[float, ...] = (10.0, 100.0, 1000.0)
    """Sizes of the pretraining set, |D_p| / |D_a|: above 0, at most 10⁹."""
    l: tuple[float, ...] = (0.05, 0.45, 0.55, 1.0)  # noqa: E741  the paper's own letter
    """Sizes of the reversal set, |D_t| / |D_a|: at least 0."""
    depth: int = 12
    """Depth d of the token tree, in binary symbols: 2^d leaves, 2 to 20 (1 where all supports are full)."""
    masses: tuple[Literal["uniform", "pareto"], ...] = ("uniform", "pareto")
    """Leaf masses of each part."""
    overlap: tuple[str, ...] = ("disjoint", "full", "0.7")
    """Supports: `disjoint` thirds, `full` (independent masses), a share 0 to 1 of D_a within D_t, or `full:SHARE`."""
    alpha: float = 1.2
    """Shape of the Pareto masses, above 0; smaller = heavier tail."""
    seed: int = 0
    """Seed of the Pareto masses."""
    smoothing: float = 0.0
    """Share of the uniform law mixed into P_i, 0 to 1, for the KL as printed; at 0 it can be infinite."""

    def __post_init__(self) -> None:
        _require(bool(self.k) and all(0 < k <= LARGEST for k in self.k), "k", "is above 0 and at most 10⁹", self.k)
        _require(bool(self.l) and all(0 <= x <= LARGEST for x in self.l), "l", "is at least 0 and at most 10⁹", self.l)
        _require(1 <= self.depth <= DEEPEST, "depth", f"is 1 to {DEEPEST}", self.depth)
        _require(bool(self.masses), "masses", "names uniform, pareto or both", self.masses)
        _require(0 < self.alpha <= LARGEST, "alpha", "is above 0", self.alpha)
        _require(self.seed >= 0, "seed", "is at least 0", self.seed)
        _require(0 <= self.smoothing <= 1, "smoothing", "is a share from 0 to 1", self.smoothing)
        for name in ("k", "l", "masses", "overlap"):
            given = getattr(self, name)
            _require(bool(given) and len(set(given)) == len(given), name, "has each value once", given)
        names = [overlap.name for overlap in self.overlaps()]
        _require(len(set(names)) == len(names), "overlap", "has each value once", self.overlap)
        full = all(overlap.support == "full" for overlap in self.overlaps())
        _require(self.depth > 1 or full, "depth", "is at least 2 for disjoint thirds (4 leaves)", self.depth)

    def overlaps(self) -> tuple[Overlap, ...]:
        """What `overlap` names. RefusedError where it names nothing."""
        try:
            return tuple(Overlap.named(text) for text in self.overlap)
        except ValueError as error:
            raise _refused("overlap", str(error)) from error


CONVENTION: Final = {
    "gamma": "γ_i = −(1/d)·Σ P_i·log₂ q: bits of code per source symbol; larger = worse compressed",
    "unit": "bit per source symbol, per unit of l = |D_t|/|D_a|",
    "sign": "theorem 4.2 holds where dgamma_p_dl < 0 < dgamma_a_dl (the paper's current version; its first one prints "
    "both positive, for the reciprocal of γ)",
    "model": "q = [k·P_p + P_a + l·P_t]/(k + 1 + l), P_p = (P₁ + P₂ + P₃)/3, P_a = P₂, P_t = P₃; an overlap "
    "that is a share s makes P₃ ← s·P₂ + (1 − s)·P₃, in D_t and in D_p",
    "l_star": "(1 − c2)/(c3 − 1): leading order in 1/k; l_star_exact is the root of dgamma_p_dl at this k",
    "normaliser": "log₂(2^d)/d = 1 bit per symbol, constant: it cancels in every derivative",
}
"""What the numbers mean; stands beside them in the result."""


@dataclass(frozen=True, slots=True)
class Theory:
    """A finished table: the run and its records."""

    path: Path
    rows: tuple[Mapping[str, Any], ...]
    huffman: tuple[Mapping[str, Any], ...]
    hooke: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]


def run_theory(config: TheoryConfig, out: Path | None) -> Theory:
    """Compute what the run does not hold yet. RefusedError where the directory holds another question's run."""
    path = out or default_dir("theory", asdict(config))
    began = time.monotonic()
    with Run.open(path, command="theory", asked=asdict(config), identity={}, about=provenance.about()) as run:
        if run.state != "complete":
            run.note(papers=[ELASTICITY.key], convention=CONVENTION)
            for kind, key, make in table(config):
                if run.get(kind, key) is None:
                    run.append(kind, key, make())
            run.finish("complete", cost={"seconds": time.monotonic() - began})
        found = {kind: tuple(run.read(kind).values()) for kind in ("row", "huffman", "hooke")}
        return Theory(path, found["row"], found["huffman"], found["hooke"], run.warnings)


def table(config: TheoryConfig) -> Iterator[tuple[str, str, Callable[[], dict[str, Any]]]]:
    """Kind, key and maker of every record, in the order in which they are stored."""
    from springback.elasticity.masses import sources
    from springback.elasticity.mixture import Mixture

    for masses, overlap in product(config.masses, config.overlaps()):
        made = sources(config.depth, masses=masses, overlap=overlap, alpha=config.alpha, seed=config.seed)
        head: dict[str, Any] = {"depth": config.depth, "masses": masses, "overlap": overlap.name}
        head |= {"alpha": config.alpha, "seed": config.seed} if masses == "pareto" else {"alpha": None, "seed": None}
        place = f"{masses}/{overlap.name}"
        known = cache(partial(_turning, made))
        for k in config.k:
            for l in config.l:  # noqa: E741
                yield "row", f"{place}/{k!r}/{l!r}", partial(_row, Mixture(made, k, l), head, known)
            yield "hooke", f"{place}/{k!r}", partial(_hooke, made, k, head, config.smoothing)
        for data in ("p", "a", "t"):
            yield "huffman", f"{place}/{data}", partial(_huffman, made, data, head)


def _turning(made: "Sources", k: float) -> dict[str, float | None]:
    """c₂, c₃ and both l*: what the rows of one k share."""
    from springback.elasticity.mixture import exact_l_star, interference

    return {**interference(made)._asdict(), "l_star_exact": exact_l_star(made, k)}


def _row(mixture: "Mixture", head: Mapping[str, Any], known: Callable[[float], dict[str, Any]]) -> dict[str, Any]:
    from springback.elasticity.mixture_gradient import autograd

    exact, k = mixture.derivatives(), mixture.k
    return {
        "k": k, "l": mixture.l, **head, **_named(exact),
        "finite_difference": _named(mixture.finite_differences()), "autograd": _named(autograd(mixture)),
        **known(k),
        "signs_hold": exact.p < 0 < exact.a, "gamma": mixture.rates()._asdict(),
        "disproportion": None if exact.p == 0 else exact.a / (-k * exact.p), "leading": _leading(mixture, exact),
    }  # fmt: skip


def _named(rates: Any) -> dict[str, float]:
    return {f"dgamma_{name}_dl": value for name, value in rates._asdict().items()}


def _leading(mixture: "Mixture", exact: "Rates") -> dict[str, float]:
    """The derivatives without their powers of K: for k → ∞, −[(1 − c₂) − l·(c₃ − 1)] and 1 − c₂."""
    unit = mixture.total * mixture.sources.depth * math.log(2)
    return {"p": exact.p * mixture.total * unit, "a": exact.a * unit}


def _hooke(made: "Sources", k: float, head: Mapping[str, Any], smoothing: float) -> dict[str, Any]:
    from springback.elasticity.hooke import kl, printed_kl, pull
    from springback.elasticity.mixture import Mixture

    start = Mixture(made, k, 0.0)
    found, s = pull(start, to=STRETCH), start.sources
    sides = (("p", s.pretraining), ("a", s.alignment))
    return {
        "k": k, "l_from": 0.0, "l_to": STRETCH, **head, **found._asdict(), "ratio": found.ratio, "unit": "bit",
        "kl": {name: kl(masses, start.masses) for name, masses in sides}, "smoothing": smoothing,
        "printed_kl": {name: _finite(printed_kl(start, masses, smoothing=smoothing)) for name, masses in sides},
    }  # fmt: skip


def _finite(bits: float) -> dict[str, Any]:
    if bits < float("inf"):
        return {"value": bits, "unit": "bit"}
    return {"value": None, "why": "infinite: the mixture has leaves that this data set lacks; ask for --smoothing"}


def _huffman(made: "Sources", data: str, head: Mapping[str, Any]) -> dict[str, Any]:
    from springback.elasticity.huffman import block_lengths

    masses = {"p": made.pretraining, "a": made.alignment, "t": made.reversal}[data]
    found, held = block_lengths(masses), masses[masses > 0]
    return {**head, "data": data, "leaves": int(held.size), **found._asdict(), "unit": "bit per block of d symbols"}


def _require(holds: bool, name: str, words: str, given: object) -> None:  # noqa: FBT001
    if not holds:
        shown = ", ".join(map(str, given)) if isinstance(given, tuple) else str(given)
        raise _refused(name, f"--{name} {words}; given was {shown or 'nothing'}")


def _refused(name: str, message: str) -> RefusedError:
    return RefusedError(message, kind="option", where=f"--{name}", next="See `springback theory --help`.")

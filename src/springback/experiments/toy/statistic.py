"""The statistics of the predictions: one number a seed, from its own cells, with the rule its interval has to meet."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from springback.experiments.toy.config import Toy
from springback.experiments.toy.seen import Seen, slope
from springback.stats.measured import Measured

Survives = Literal["yes", "no", "undecided"]


@dataclass(frozen=True, slots=True)
class Part:
    """One statistic and where its interval over seeds must lie."""

    what: str
    unit: str
    of: Callable[[Seen], float]
    by: Callable[[Seen], float] | None = None
    """What it is divided by, as a ratio of means over seeds: not reported where that is not clear of 0."""
    low: float = -math.inf
    high: float = math.inf
    """Bounds of the rule; a bound itself is outside."""

    def rule(self) -> str:
        """In words."""
        if math.isinf(self.high):
            return f"above {self.low:g}"
        return f"below {self.high:g}" if math.isinf(self.low) else f"between {self.low:g} and {self.high:g}"

    def settled(self, found: Measured) -> Survives:
        if found.low is None or found.high is None:
            return "undecided"
        if self.low < found.low and found.high < self.high:
            return "yes"
        return "no" if found.high <= self.low or found.low >= self.high else "undecided"


def moves(config: Toy, data: Literal["pretraining", "aligned"], low: float, high: float) -> tuple[Part, ...]:
    most, n = config.align_sizes[-1], config.first_look
    what = f"Δγ_{data[0]}, N_a = {most}, n = 0 to {n}"
    return (Part(what, "bit/symbol", lambda s: s.moved(data, most, n), low=low, high=high),)


def beyond_placebo(config: Toy) -> tuple[Part, ...]:
    most, n = config.align_sizes[-1], config.first_look

    def of(s: Seen) -> float:
        return s.moved("pretraining", most, n) - s.moved("pretraining", most, n, "placebo")

    return (Part(f"Δγ_p less the placebo's, N_a = {most}, n = 0 to {n}", "bit/symbol", of, high=0.0),)


def share_of_ratio(config: Toy, n: int) -> tuple[Part, ...]:
    """R/k; with |D_i| in strings it is |D_a|·ΔKL(P_a‖θ) over −|D_p|·ΔKL(P_p‖θ) too."""
    most = config.align_sizes[-1]

    def wanted(s: Seen) -> float:
        return s.moved("aligned", most, n)

    def pretraining(s: Seen) -> float:
        return -s.k(most) * s.moved("pretraining", most, n)

    return (Part(f"−Δγ_a/(k·Δγ_p), N_a = {most}, n = 0 to {n}", "1", wanted, pretraining, 0.5, 2.0),)


def tenth(config: Toy) -> int:
    """The reversal size nearest to a tenth of the largest alignment."""
    return min(config.reverse_sizes, key=lambda n: (abs(n - config.align_sizes[-1] / 10), n))


def returns(config: Toy) -> tuple[Part, ...]:
    most = config.align_sizes[-1]

    def nearest(s: Seen) -> float:
        return min(kl for n, kl in s.distances(most).items() if n <= most / 4)

    return (
        Part(f"closest KL(base‖θ), N_a = {most}, n ≤ N_a/4", "bit/string", nearest, high=config.tolerance),
        Part("KL(base‖aligned) less the closest", "bit/string", lambda s: s.distances(most)[0] - nearest(s), low=0.0),
    )


def quarter(config: Toy) -> tuple[Part, ...]:
    most = config.in_reach[-1]
    return (Part(f"share of KL(base‖θ) undone, N_a = {most}", "share", lambda s: s.undone(most), low=0.125, high=0.5),)


def half(config: Toy) -> tuple[Part, ...]:
    def of(s: Seen) -> float:
        sizes = config.in_reach
        return sum(s.closest(n)[0] / n for n in sizes) / len(sizes)

    return (Part("n*/N_a, mean over the alignment sizes in reach", "1", of, low=0.25, high=1.0),)


def linear(config: Toy) -> tuple[Part, ...]:
    floor = config.batch / 2  # a closest point at n = 0 is below what a step can resolve

    def of(s: Seen) -> float:
        return slope({n: math.log2(max(s.closest(n)[0], floor)) for n in config.in_reach})

    return (Part("exponent of n* in N_a", "1", of, low=0.5, high=1.5),)


def overshoots(config: Toy) -> tuple[Part, ...]:
    most, last = config.in_reach[-1], config.reverse_sizes[-1]

    def of(s: Seen) -> float:
        return (s.distances(most)[last] - s.closest(most)[1]) if s.closest(most)[0] else 0.0

    return (Part(f"KL(base‖θ) at n = {last} less the closest, N_a = {most}", "bit/string", of, low=0.0),)


def grows(config: Toy) -> tuple[Part, ...]:
    def of(s: Seen) -> float:
        return slope({n: -s.moved("pretraining", n, config.first_look) for n in config.align_sizes})

    return (Part(f"slope of −Δγ_p (n = 0 to {config.first_look}) in log₂ N_a", "bit/symbol", of, low=0.0),)


def volume(config: Toy) -> tuple[Part, ...]:
    most = config.align_sizes[-1]

    def of(s: Seen) -> float:
        return slope({n: s.at(pretrain=n).undone(most) for n in config.pretrain})

    return (Part(f"slope of the undone share in log₂ N_p, N_a = {most}", "share", of, low=0.0),)


def absorbed(config: Toy) -> tuple[Part, ...]:
    most, n = config.align_sizes[-1], config.first_look

    def of(s: Seen) -> float:
        return slope({size: -s.at(pretrain=size).moved("reversed", most, n) for size in config.pretrain})

    return (Part(f"slope of −Δγ_t (n = 0 to {n}) in log₂ N_p, N_a = {most}", "bit/symbol", of, low=0.0),)


def mixed(config: Toy) -> tuple[Part, ...]:
    most, n = config.align_sizes[-1], config.first_look
    half = max(config.mix)

    def even(s: Seen) -> float:
        return s.at(mix=half).moved("pretraining", most, n)

    return (
        Part(f"Δγ_p with a mix of {half:g}, N_a = {most}, n = 0 to {n}", "bit/symbol", even, low=0.0),
        Part("the same less that of the first mix", "bit/symbol",
             lambda s: even(s) - s.moved("pretraining", most, n), low=0.0),
    )  # fmt: skip

"""Which training pairs are left out before the first step: by the loss's own condition, or by CHES. Torch-free.

    product    d_l ⟨g_w, g_l⟩ / (d_w ‖g_w‖²)    above 1 a step on the pair lowers its chosen answer (Yuan et al., 2024)
    ches       ⟨H_w, H_l⟩ − ‖H_w‖²              higher foresees a larger fall, without a border (Razin et al., 2024)

Left out is what lies above `bound` (product: 1 unless told otherwise), or the `share` that lies highest; of equal ones
the later. Both speak of the weights before training, and of each pair alone: what the other pairs of its batch do to it
is not in them. With another reference d_w and d_l are those of its log-probabilities.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf
from typing import Any, Final

from springback.data.ledger import Ledger, reasons
from springback.errors import RefusedError, refused
from springback.store import options

NAMES: Final = ("product", "ches")
TITLES: Final = {"product": "d_l⟨g_w, g_l⟩ / d_w‖g_w‖²", "ches": "CHES"}


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of the pairs."""

    places: tuple[int, ...]
    """Of those that are trained on."""
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class _Options:
    bound: float | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """As it was asked for."""

    text: str
    name: str
    bound: float | None
    share: float | None

    def judge(self, measured: Sequence[Mapping[str, Any]]) -> Kept:
        """`measured`: of every pair its `where`, and what this filter looks at, in their order."""
        out = set(self._over([score(self.name, one) for one in measured]))
        places = {self._why: [str(one["where"]) for place, one in enumerate(measured) if place in out]}
        kept = tuple(place for place in range(len(measured)) if place not in out)
        return Kept(kept, Ledger("filtered", "pairs", len(measured), reasons(places), rule=self.text))

    def _over(self, scores: Sequence[float]) -> list[int]:
        if self.share is None:
            return [place for place, value in enumerate(scores) if value > (self.bound or 0.0)]
        ranked = sorted(range(len(scores)), key=lambda place: (scores[place], place))
        return ranked[len(ranked) - round(self.share * len(ranked)) :]

    @property
    def _why(self) -> str:
        title = TITLES[self.name]
        if self.share is not None:
            return f"among the {self.share:.4g} of the pairs with the highest {title}"
        fall = ": the chosen answer would fall" if self.name == "product" and self.bound == 1 else ""
        return f"{title} above {self.bound:.6g}{fall}"


def score(name: str, measured: Mapping[str, Any]) -> float:
    """What is compared. A chosen answer that the loss does not push up: ∞ where it falls, −∞ where it does not.

    −∞ too where there is nothing to compare: no gradient, or an empty answer.
    """
    if name == "ches":
        return -inf if measured["ches"] is None else float(measured["ches"])
    up, down = measured["d_w"] * measured["ww"], measured["d_l"] * measured["wl"]
    if up > 0:
        return down / up
    return inf if down > up else -inf


def filter_named(text: str) -> Filter:
    """The filter of this name. RefusedError where there is none, or an option it does not have."""
    name, _, rest = text.partition(":")
    if name not in NAMES:
        raise _unlike(f"{text} is no filter")
    try:
        given = options.converted(_Options, options.parsed(rest))
    except ValueError as error:
        raise _unlike(f"{text}: {error}") from error
    asked = _Options(**given)
    if asked.share is not None and asked.bound is not None:
        raise _unlike(f"{text} names both a bound and a share")
    if asked.share is not None and not 0 < asked.share < 1:
        raise _unlike(f"{text}: a share lies between 0 and 1")
    if asked.bound is not None and not -inf < asked.bound < inf:
        raise _unlike(f"{text}: a bound is a finite number")
    if name == "ches" and asked == _Options():
        raise _unlike("ches has no border of its own: name a share or a bound")
    return Filter(text, name, 1.0 if asked == _Options() else asked.bound, asked.share)


def require_pairs(text: str, kind: str, loss: Any, design: Any) -> None:
    """Refuse a filter that this loss gives nothing to look at, before a model is loaded."""
    from springback.experiments.entangle.pulls import why_not
    from springback.train.preference_step import alone

    if kind != "pairs":
        raise refused("filter", f"{text} looks at pairs; {design.loss} learns from {kind}")
    if design.reference_logprobs is not None:
        raise refused("filter", "leaves rows out, and --reference-logprobs are of all of them")
    if filter_named(text).name == "ches":
        return
    why = why_not(loss) if alone(loss) else "a pair's push depends on its whole batch"
    if why is not None:
        raise refused("filter", f"product has no meaning for {design.loss}: {why}", "--filter ches:share=0.1")


def _unlike(message: str) -> RefusedError:
    listed = ", ".join(field.name for field in fields(_Options))
    return RefusedError(
        f"{message}.", kind="option", where="--filter",
        next=f"Give product, product:share=0.1, product:bound=0.9, ches:share=0.1 or ches:bound=X (options: {listed}).",
    )  # fmt: skip

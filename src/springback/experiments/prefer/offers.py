"""What a loss needs against what the data offers and the reference's way can give: refused before a model is loaded."""

from collections.abc import Set as AbstractSet
from typing import Any, Final, Literal

from springback.data.preferences import Offer
from springback.errors import RefusedError, refused
from springback.experiments.prefer.config import Design

Resolved = Literal["none", "precomputed", "adapter_off", "model"]
SERVES: Final[dict[Offer, frozenset[Offer]]] = {
    "pairs": frozenset({"pairs", "lists"}),
    "lists": frozenset({"lists", "pairs"}),
    "labels": frozenset({"labels", "pairs"}),
}
"""What a loss of pairs, lists or labels can be given: ranked answers become pairs by a rule, a pair is a list of two
or two labelled answers."""
LIVE: Final = frozenset({"divergence", "mismatched", "moving_reference", "samples"})
"""Needs that take the reference's network in every step."""


def kind_of(needs: AbstractSet[str]) -> Offer:
    """What a loss learns from."""
    return "labels" if "labels" in needs else "lists" if "lists" in needs else "pairs"


def require_fit(needs: AbstractSet[str], offers: Offer, design: Design) -> None:
    """Refuse a loss that this data cannot feed, with losses that it can, and one that this command cannot."""
    from springback.train.preference_step import SUPPLIED

    if unmet := needs - SUPPLIED:
        raise refused("loss", f"{design.loss} needs {', '.join(sorted(unmet))}, which training does not supply")
    if "samples" not in needs and design.samples != 4:
        raise refused("samples", f"have no use: {design.loss} looks at no drawn answers")
    kind = kind_of(needs)
    if offers not in SERVES[kind]:
        fitting = ", ".join(_fitting(offers)[:6])
        raise RefusedError(
            f"--loss {design.loss} learns from {kind}; the data offers {offers}.", kind="data", where="--loss",
            next=f"Take a loss of {offers} ({fitting}, …), or give data with two answers to each prompt.",
        )  # fmt: skip
    if "scores" in needs and offers == "pairs":
        raise refused("loss", f"{design.loss} needs scores of the answers, and the data has none")


def alone(method: Any) -> bool:
    """Whether no row's loss looks at other rows of its batch; a callable is believed to be so."""
    from springback.train.preference_step import alone, needs_of

    return alone(method) and "mismatched" not in needs_of(method)


def require_whole_batches(method: Any, design: Design) -> None:
    """Refuse micro-batches where a pair's loss depends on the other pairs of its batch."""
    if design.accumulate > 1 and not alone(method):
        raise refused(
            "accumulate", f"{design.accumulate} would change {design.loss}: a pair's loss depends on its whole batch",
            "--accumulate 1, with a smaller --batch if memory is short",
        )  # fmt: skip
    if design.batch < (least := getattr(method, "least_batch", 1)):
        raise refused("batch", f"must be at least {least} for {design.loss}: it sets the pairs of a batch against "
                      "each other")  # fmt: skip


def way_of(needs: AbstractSet[str], design: Design) -> Resolved:
    """Where the reference's log-probabilities come from. RefusedError for a way that cannot work or has no use."""
    asked = [name for name in ("reference", "reference_logprobs") if getattr(design, name) is not None]
    asked += ["reference_way"] if design.reference_way != "auto" else []
    if "reference" not in needs:
        if asked:
            raise refused(asked[0], f"has no use: {design.loss} looks at no reference")
        return "none"
    if design.reference_logprobs is not None and design.reference_way not in ("auto", "precomputed"):
        raise refused("reference_logprobs", "are precomputed ones", "leave --reference-way out")
    if design.reference_way == "adapter_off" and (design.tuner != "lora" or design.reference is not None):
        raise refused("reference_way", "adapter_off is LoRA's own start", "--tuner lora, without --reference")
    return _moving(design) if "moving_reference" in needs else _still(needs, design)


def _still(needs: AbstractSet[str], design: Design) -> Resolved:
    live = sorted(LIVE & needs)
    if not live:
        return "precomputed" if design.reference_way == "auto" else design.reference_way
    if design.reference_way == "precomputed" or design.reference_logprobs is not None:
        name = "reference_way" if design.reference_way == "precomputed" else "reference_logprobs"
        raise refused(name, f"cannot serve {design.loss}: it takes the reference in every step ({', '.join(live)})")
    own = design.tuner == "lora" and design.reference is None
    return "adapter_off" if own and design.reference_way == "auto" else _second(design)


def _second(design: Design) -> Resolved:
    return "model" if design.reference_way == "auto" else design.reference_way


def _moving(design: Design) -> Resolved:
    if design.tuner == "lora":
        raise refused("tuner", f"lora has no second set of weights for {design.loss} to move", "--tuner full")
    if design.reference_way == "precomputed" or design.reference_logprobs is not None:
        raise refused("reference_way", f"precomputed stands still; the reference of {design.loss} moves")
    return "model"


def _fitting(offers: Offer) -> list[str]:
    """Losses that this data can feed."""
    from springback.train.preference import LOSSES
    from springback.train.preference_step import SUPPLIED

    return [
        name
        for name, method in LOSSES.items()
        if offers in SERVES[kind_of(method.needs)] and kind_of(method.needs) == offers and method.needs <= SUPPLIED
    ]

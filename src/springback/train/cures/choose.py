"""`none`, `normalised:form=unit`, `anchor:weight=0.5`, a Python FILE with weights(chosen, rejected), or
`module:function`.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from springback.errors import RefusedError
from springback.store import options, user_code
from springback.train.cures.anchor import Anchor
from springback.train.cures.calibrated import Calibrated
from springback.train.cures.learned_mask import LearnedMask
from springback.train.cures.masked import Differing, LowEntanglement
from springback.train.cures.method import Cure
from springback.train.cures.normalised import Normalised
from springback.train.cures.weighted import Weighted
from springback.train.preference_step import needs_of

CURES: Final[Mapping[str, type]] = {
    "normalised": Normalised,
    "calibrated": Calibrated,
    "anchor": Anchor,
    "differing": Differing,
    "low_entanglement": LowEntanglement,
    "learned_mask": LearnedMask,
}
NONE: Final = "none"
SUMS: Final = frozenset({"pairs", "reference", "lengths", "statistics", "moving_reference"})
"""Needs of a loss that sees sums and lengths only."""


def cure_named(text: str, loss: Any, *, option: str = "--cure") -> Cure | None:
    """The cure of this name with its options, for this loss; None for `none`.

    RefusedError where there is none, an option it lacks, or a loss that it cannot stand before.
    """
    if text == NONE:
        return None
    name, _, rest = text.partition(":")
    found = _made(name, rest, option) if name in CURES else Weighted(_own(text, option))
    needs = needs_of(loss)
    if "embeddings" in needs:
        raise _refused(
            f"{text} acts on how a loss pulls at log-probabilities, and this one pulls at hidden states", option,
            "Leave --cure out; the loss has an option nll, and info_nce_embeddings_kl a KL.",
        )  # fmt: skip
    if "pairs" not in needs:
        raise _refused(f"{text} acts on pairs, and the loss takes none", option, "Take a loss of pairs, or no cure.")
    if found.sums_only and (over := sorted(needs - SUMS)):
        raise _refused(
            f"{text} gives the loss sums and lengths, and it needs {', '.join(over)}", option,
            "Take another cure, or another loss.",
        )  # fmt: skip
    return found


def _made(name: str, rest: str, option: str) -> Any:
    method = CURES[name]
    try:
        return method(**options.converted(method, options.parsed(rest)))
    except ValueError as error:
        listed = ", ".join(field.name for field in fields(method)) or "none"
        raise _refused(f"{name}: {error}", option, f"Options of {name}: {listed}.") from error


def _own(text: str, option: str) -> Any:
    known = ", ".join([NONE, *CURES])
    return user_code.function(text, attribute="weights", option=option, kind="option", other=known)


def _refused(message: str, option: str, todo: str) -> RefusedError:
    return RefusedError(f"{message}.", kind="option", where=option, next=todo)

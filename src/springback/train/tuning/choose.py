"""`plain`, `kl_anchor:weight=0.5`, `replay`, `constrained`, a loss of the preference family (`dpo:beta=0.1`), a Python
FILE with tuning(network, rows, before), or `module:function`: a way of tuning by name, its options behind a colon.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from springback.errors import RefusedError
from springback.store import options, user_code
from springback.train.preference import LOSSES, spelling
from springback.train.preference.choose import loss_named
from springback.train.tuning.constrained import Constrained
from springback.train.tuning.kl_anchor import KLAnchor
from springback.train.tuning.method import Tuning
from springback.train.tuning.plain import Plain
from springback.train.tuning.preference import Preference
from springback.train.tuning.replay import Replay

METHODS: Final[Mapping[str, type]] = {
    "plain": Plain,
    "kl_anchor": KLAnchor,
    "replay": Replay,
    "constrained": Constrained,
}

FROM_PAIRS: Final = frozenset({"pairs", "reference", "lengths", "tokens", "collision", "divergence", "statistics"})
"""Needs of a loss that rows with their other answers can meet."""


def tuning(named: str, *, option: str = "--reverse-with") -> Tuning:
    """The way of tuning of this name. RefusedError where there is none, or an option it does not have."""
    name, _, rest = named.partition(":")
    if spelling.member(name, LOSSES) is not None:
        return _preference(named, option)
    if name not in METHODS:
        known = f"{', '.join(METHODS)}, a preference loss (`springback losses`)"
        return user_code.function(named, attribute="tuning", option=option, kind="option", other=known)
    method = METHODS[name]
    try:
        return method(**options.converted(method, options.parsed(rest)))
    except ValueError as error:
        names = ", ".join(field.name for field in fields(method)) or "none"
        raise RefusedError(
            f"{named}: {error}", kind="option", where=option, next=f"Options of {name}: {names}; {name}:option=value."
        ) from error


def _preference(named: str, option: str) -> Preference:
    method = loss_named(named, option=option)
    if lacking := sorted(method.needs - FROM_PAIRS):
        raise RefusedError(
            f"{named} needs {', '.join(lacking).replace('_', ' ')}; a row here has one other answer, and that is all.",
            kind="option", where=option, next="Take another of `springback losses`, or train with `springback prefer`.",
        )  # fmt: skip
    return Preference(method)

"""`plain`, `kl_anchor:weight=0.5`, `replay`, `constrained`, a Python FILE with tuning(network, rows, before), or
`module:function`: a way of tuning by name, with its options behind a colon.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from springback.errors import RefusedError
from springback.store import user_code
from springback.train.tuning.constrained import Constrained
from springback.train.tuning.kl_anchor import KLAnchor
from springback.train.tuning.method import Tuning
from springback.train.tuning.plain import Plain
from springback.train.tuning.replay import Replay

METHODS: Final[Mapping[str, type]] = {
    "plain": Plain,
    "kl_anchor": KLAnchor,
    "replay": Replay,
    "constrained": Constrained,
}


def tuning(named: str, *, option: str = "--reversal-method") -> Tuning:
    """The way of tuning of this name. RefusedError where there is none, or an option it does not have."""
    name, _, rest = named.partition(":")
    if name not in METHODS:
        return user_code.function(named, attribute="tuning", option=option, kind="option", other=", ".join(METHODS))
    method = METHODS[name]
    try:
        return method(**_options(method, rest))
    except ValueError as error:
        names = ", ".join(field.name for field in fields(method)) or "none"
        raise RefusedError(
            f"{named}: {error}", kind="option", where=option, next=f"Options of {name}: {names}; {name}:option=value."
        ) from error


def _options(method: type, text: str) -> dict[str, Any]:
    known = {field.name: type(field.default) for field in fields(method)}
    found = {name: value for name, _, value in (part.partition("=") for part in text.split(",") if part)}
    unknown = set(found) - set(known)
    if unknown:
        raise ValueError(f"there is no option {', '.join(sorted(unknown))}")
    return {name: known[name](value) for name, value in found.items()}

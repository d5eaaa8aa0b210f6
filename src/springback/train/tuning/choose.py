"""A way of tuning by name, its options behind a colon.

`plain`, `kl_anchor:weight=0.5`, `replay`, `constrained`; a loss of the preference family (`dpo:beta=0.1`, `kto`,
`d2o:samples=2`); a policy method (`grpo:group=4,beta=0.1,reward=FILE.py`); a Python FILE with tuning(network, rows,
before), or `module:function`.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any, Final

from springback.errors import RefusedError
from springback.store import options, user_code
from springback.train.policy import METHODS as POLICY
from springback.train.preference import spelling
from springback.train.preference.choose import KNOWN, loss_named
from springback.train.preference_step import SUPPLIED
from springback.train.tuning.constrained import Constrained
from springback.train.tuning.kl_anchor import KLAnchor
from springback.train.tuning.method import Tuning
from springback.train.tuning.plain import Plain
from springback.train.tuning.policy import PolicyGradient
from springback.train.tuning.preference import Preference
from springback.train.tuning.replay import Replay

METHODS: Final[Mapping[str, type]] = {
    "plain": Plain,
    "kl_anchor": KLAnchor,
    "replay": Replay,
    "constrained": Constrained,
}

MISSING: Final[Mapping[str, str]] = {
    "prompt": "the log-probability of the prompt's own tokens",
    "scores": "a score of each answer",
}
"""Needs of a loss that rows with their other answers cannot meet, in words."""

ROLLOUT: Final = ("group", "reward", "value_rate")
"""Options of the way of tuning by a policy method, beside the method's own."""
DRAWING: Final = ("samples",)
"""The same of a loss that looks at answers of the policy's own."""


def tuning(named: str, *, option: str = "--reverse-with") -> Tuning:
    """The way of tuning of this name. RefusedError where there is none, or an option it does not have."""
    name = named.partition(":")[0]
    if (loss := spelling.member(name, KNOWN)) is not None:
        return _preference(named, KNOWN[loss], option)
    if name in POLICY:
        own, others = _divided(named, ROLLOUT, option)
        known = (*ROLLOUT, *_names(POLICY[name]))
        method = _made(POLICY[name], others, named, option, known)
        return _made(partial(PolicyGradient, method), own, named, option, known)
    if name in METHODS:
        return _made(METHODS[name], _given(named, option), named, option, _names(METHODS[name]))
    known = f"{', '.join(METHODS)}, {', '.join(POLICY)}, a preference loss (`springback losses`)"
    return user_code.function(named, attribute="tuning", option=option, kind="option", other=known)


def _preference(named: str, loss: type[Any], option: str) -> Preference:
    own, text = dict[str, str](), named
    if "samples" in loss.needs:
        own, others = _divided(named, DRAWING, option)
        text = f"{named.partition(':')[0]}:{_joined(others)}"
    method = loss_named(text, option=option)
    if lacking := sorted(need for need in method.needs if need in MISSING or need not in SUPPLIED):
        told = ", ".join(MISSING.get(need, need.replace("_", " ")) for need in lacking)
        raise RefusedError(
            f"{named} needs {told}; a row here brings its prompt, its answer and one other answer, and that is all.",
            kind="option", where=option, next="Take another of `springback losses`.",
        )  # fmt: skip
    return _made(partial(Preference, method), own, named, option, (*DRAWING, *_names(loss)))


def _divided(named: str, own: tuple[str, ...], option: str) -> tuple[dict[str, str], dict[str, str]]:
    """Options of the way of tuning, and those of the method in it."""
    given = _given(named, option)
    return {n: given[n] for n in given if n in own}, {n: given[n] for n in given if n not in own}


def _given(named: str, option: str) -> dict[str, str]:
    try:
        return options.parsed(named.partition(":")[2])
    except ValueError as error:
        raise _refused(named, error, option, ()) from error


def _made(kind: Any, text: Mapping[str, str], named: str, option: str, known: tuple[str, ...]) -> Any:
    """The way of tuning with options as text. RefusedError in the words of the field that refused them."""
    made: Any = kind.func if isinstance(kind, partial) else kind
    try:
        return kind(**options.converted(made, text))
    except ValueError as error:
        raise _refused(named, error, option, known) from error


def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _joined(given: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in given.items())


def _refused(named: str, error: ValueError, option: str, known: tuple[str, ...]) -> RefusedError:
    name = named.partition(":")[0]
    told = f"Options of {name}: {', '.join(known) or 'none'}; {name}:option=value."
    return RefusedError(f"{named}: {error}", kind="option", where=option, next=told)

"""A loss by name: `dpo`, `simpo:beta=2,gamma=1`, a Python FILE with loss(policy, reference), or `module:function`."""

import difflib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, cast

from springback.errors import RefusedError
from springback.store import options, user_code
from springback.train.preference import spelling
from springback.train.preference.family import BESIDE, LOSSES
from springback.train.preference.method import Method
from springback.train.preference.own import Own

KNOWN: Final[Mapping[str, type[Method]]] = {**LOSSES, **BESIDE}


def loss_named(text: str, *, option: str = "--loss") -> Method:
    """The method of this name with its options. RefusedError where there is none, or an option it does not have."""
    name, _, rest = text.partition(":")
    if (ours := spelling.member(name, KNOWN)) is not None and not Path(text).is_file():
        return made(ours, _parsed(text, rest, option), option=option)
    if not (text.endswith(".py") or Path(text).exists() or _importable(name, rest)):
        raise _unknown(text, name, option)
    return _own(user_code.function(text, attribute="loss", option=option, kind="option", other="a loss's name"), text)


def made(name: str, given: Mapping[str, str], *, option: str = "--loss") -> Method:
    """The member `name` with options as text. RefusedError in the words of the field that refused them."""
    member = KNOWN[name]
    known = [field.name for field in fields(cast("Any", member))]
    ours = [spelling.option(key, name, known) for key in given]
    try:
        _once(ours)
        return member(**options.converted(member, dict(zip(ours, given.values(), strict=True))))
    except ValueError as error:
        todo = _nearest(next((key for key in ours if key not in known), ""), known)
        listed = f"Options of {name}: {', '.join(known) or 'none'}."
        raise RefusedError(f"{name}: {error}", kind="option", where=option, next=f"{todo}{listed}") from error


def _once(names: list[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} is given twice")


def _parsed(text: str, rest: str, option: str) -> dict[str, str]:
    try:
        return options.parsed(rest)
    except ValueError as error:
        todo = "Write the options behind a colon: dpo:beta=0.1."
        raise RefusedError(f"{text}: {error}", kind="option", where=option, next=todo) from error


def _importable(module: str, function: str) -> bool:
    """Whether it reads as module:function; a misspelt loss with options reads as name:option=value."""
    return function.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _own(found: Any, text: str) -> Method:
    """What the user's file defines: a loss, a method, or a class of methods with defaults for all its options."""
    try:
        found = found() if isinstance(found, type) else found
        return found if isinstance(found, Method) else cast("Method", Own(found, text))
    except (TypeError, ValueError) as error:
        todo = "A class gives every option a default; a function may name its `needs`."
        raise RefusedError(f"{text}: {error}", kind="option", where=text, next=todo) from error


def _unknown(text: str, name: str, option: str) -> RefusedError:
    todo = _nearest(name, [*KNOWN, *spelling.MEMBERS])
    return RefusedError(
        f"{text} is no loss, no file and not module:function.",
        kind="option",
        where=option,
        next=f"{todo}`springback losses` lists them; a Python file that defines loss(policy, reference) is one too.",
    )


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]}? " if name and close else ""

"""`name:option=value,…`: the options of a method as text, converted as the method's own fields are."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def parsed(text: str) -> dict[str, str]:
    """`a=1,b=2` as a mapping. `ValueError` for a part without a name or a value, and for a name that stands twice."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not (name and equals and value):
            raise ValueError(f"an option is written name=value, got {part}")
        if name in found:
            raise ValueError(f"{name} is given twice")
        found[name] = value
    return found


def rejoined(words: tuple[str, ...]) -> tuple[str, ...]:
    """Methods, where a comma stands between two of them and between the options of one: `until=3` is no method."""
    found: list[str] = []
    for word in words:
        if found and ":" in found[-1] and re.fullmatch(r"[A-Za-z_]+=[^:]*", word):
            found[-1] += f",{word}"
        else:
            found.append(word)
    return tuple(found)


def converted(method: type, given: Mapping[str, str]) -> dict[str, Any]:
    """What the fields of the method become. `ValueError` for an option it does not have and for text that is none."""
    known = {field.name: field.default for field in fields(method)}
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"there is no option {', '.join(unknown)}")
    return {name: _value(name, text, known[name]) for name, text in given.items()}


def _value(name: str, text: str, default: object) -> Any:
    """The text as the kind of thing that the default is."""
    kind: Any = float if default is None else type(default)
    try:
        return _TRUTH[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError) as error:
        told = {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, kind.__name__)
        raise ValueError(f"{name} must be {told}, got {text}") from error

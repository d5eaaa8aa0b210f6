"""JSON as a run keeps it: finite numbers only, written whole or not at all, compared field by field."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import Field, asdict, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable


@runtime_checkable
class IsDataclass(Protocol):
    """A dataclass instance; what a run stores when it is no mapping."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def as_mapping(body: Mapping[str, Any] | IsDataclass) -> dict[str, Any]:
    """A dataclass or mapping as a dict of its own."""
    return asdict(body) if is_dataclass(body) and not isinstance(body, type) else dict(body)  # pyright: ignore


def dumps(value: object, *, what: str, indent: int | None = None) -> str:
    """The value as ASCII JSON. ValueError for NaN, Infinity and what JSON has no word for, naming the field."""
    try:
        return json.dumps(value, allow_nan=False, indent=indent)
    except (TypeError, ValueError) as error:
        field = next((f" at {name}" for name, leaf in leaves(value) if not _fits(leaf)), "")
        raise ValueError(f"{what}: no JSON{field}: {error}; store null and say why") from error


def loads(text: str | bytes) -> Any:
    """The value of strict JSON; ValueError for anything else, NaN and Infinity among it."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def write(path: Path, value: object) -> None:
    """Put the JSON there whole or not at all: a temporary file, fsync, rename. OSError where that cannot be done."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("w", encoding="ascii") as file:
            file.write(dumps(value, what=path.name, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    _sync_directory(path.parent)


def leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Every value that is no mapping or list, with its dotted name; an empty mapping or list is a value."""
    items: list[tuple[object, object]] = []
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    if not items:
        yield name, value
    for key, inner in items:
        yield from leaves(inner, f"{name}.{key}" if name else str(key))


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    """The fields that differ, by dotted name: what stands there and what is given here, `None` where it is missing.

    A list is one field. Both sides are compared as JSON, so a tuple equals a list and 1 equals 1.0, but not true.
    """
    left, right = _fields(there), _fields(here)
    changed = [name for name in sorted(left.keys() | right.keys()) if not _same(name, left, right)]
    return {name: (left.get(name), right.get(name)) for name in changed}


def _same(name: str, left: Mapping[str, object], right: Mapping[str, object]) -> bool:
    if name not in left or name not in right:
        return False
    one, two = left[name], right[name]
    return one == two and isinstance(one, bool) == isinstance(two, bool)


def _fields(value: Mapping[str, Any], name: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, inner in loads(dumps(value, what=name or "configuration")).items():
        dotted = f"{name}.{key}" if name else key
        found |= _fields(inner, dotted) if isinstance(inner, Mapping) and inner else {dotted: inner}
    return found


def _fits(leaf: object) -> bool:
    if isinstance(leaf, float):
        return math.isfinite(leaf)
    return leaf is None or isinstance(leaf, str | int | dict | list | tuple)


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _sync_directory(path: Path) -> None:
    with suppress(OSError):  # some systems cannot sync a directory; the rename stands all the same
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

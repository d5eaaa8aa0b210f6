"""`--on`: the name of an engine in words, checked before anything is spent."""

from dataclasses import dataclass
from typing import Literal

from springback.errors import RefusedError


@dataclass(frozen=True, slots=True)
class On:
    """Where jobs run, as it was asked for."""

    kind: Literal["here", "processes", "ray"] = "here"
    workers: int = 1
    """Of `processes`."""
    address: str | None = None
    """Of `ray`."""


def on(words: str) -> On:
    """`here`, `processes:N` (N ≥ 1), `ray`, `ray:ADDRESS`; RefusedError for anything else."""
    kind, colon, rest = words.partition(":")
    if words == "here":
        return On()
    if kind == "processes" and rest.isdecimal() and int(rest) >= 1:
        return On("processes", workers=int(rest))
    if kind == "ray" and (rest or not colon):
        return On("ray", address=rest or None)
    raise RefusedError(
        f"--on knows here, processes:N and ray[:ADDRESS], not {words!r}.", kind="option", where="--on",
        next="Give --on processes:2, for one.",
    )  # fmt: skip

"""What a method was not given, in words that name the need."""

from typing import TypeVar

Thing = TypeVar("Thing")


def given(thing: Thing | None, need: str) -> Thing:
    """The thing itself; `ValueError` where it is missing."""
    if thing is None:
        raise ValueError(f"this loss must be given what its need `{need}` names, got None")
    return thing

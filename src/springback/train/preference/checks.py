"""What a method's options must be, in words that name the option and what was given."""

import math


def positive(**options: float) -> None:
    """Each is a number above 0."""
    for name, value in options.items():
        require(0 < value < math.inf, name, "a number > 0", value)


def at_least_zero(**options: float) -> None:
    """Each is a number of at least 0."""
    for name, value in options.items():
        require(0 <= value < math.inf, name, "a number of at least 0", value)


def finite(**options: float) -> None:
    """Each is a number."""
    for name, value in options.items():
        require(math.isfinite(value), name, "a finite number", value)


def share_up_to_half(**options: float) -> None:
    """Each is the share of labels believed wrong; at a half the labels say nothing."""
    for name, value in options.items():
        require(0 <= value <= 0.5, name, "in [0, 0.5]", value)


def share_below_half(**options: float) -> None:
    """Each is the share of labels believed wrong."""
    for name, value in options.items():
        require(0 <= value < 0.5, name, "in [0, 0.5)", value)


def require(holds: bool, name: str, words: str, given: object) -> None:  # noqa: FBT001
    """`ValueError` unless it holds: `beta must be a number > 0, got -1`."""
    if not holds:
        raise ValueError(f"{name} must be {words}, got {given}")

"""A policy method by name with options: `grpo`, `grpo:beta=0.1,kl=k2`."""

from dataclasses import fields
from typing import Any

from springback.errors import RefusedError
from springback.train.policy import METHODS
from springback.train.policy.method import PolicyMethod


def method_named(asked: str) -> PolicyMethod:
    """The method with its options. RefusedError names the option that is unknown or cannot hold."""
    name, _, options = asked.partition(":")
    if name not in METHODS:
        raise _refused(f"There is no policy method {name}.", asked, f"Give one of {', '.join(METHODS)}.")
    given = dict(_pair(each, asked) for each in options.split(",") if each)
    kind = METHODS[name]
    try:
        return kind(**{key: _read(kind(), key, value, asked) for key, value in given.items()})
    except RefusedError:
        raise
    except ValueError as error:
        raise _refused(f"{name}: {error}.", asked, "Change this option.") from error


def stated(method: PolicyMethod) -> dict[str, Any]:
    """Every option of a method with its value, as a record carries it."""
    return {field.name: getattr(method, field.name) for field in fields(method)}  # pyright: ignore[reportArgumentType]


def _pair(each: str, asked: str) -> tuple[str, str]:
    key, equals, value = each.partition("=")
    if not equals or not key.strip() or not value.strip():
        raise _refused(f"{each!r} is no option.", asked, "Write options as name:option=value,option=value.")
    return key.strip(), value.strip()


def _read(default: Any, key: str, value: str, asked: str) -> Any:
    known = [field.name for field in fields(default)]
    if key not in known:
        raise _refused(f"There is no option {key}.", asked, f"The options are {', '.join(known)}.")
    kind = type(getattr(default, key))
    try:
        return {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
    except (ValueError, KeyError):
        what = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise _refused(f"{key} must be {what}, got {value}.", asked, "Change this option.") from None


def _refused(message: str, asked: str, do: str) -> RefusedError:
    return RefusedError(message, kind="option", where=f"--method {asked}", next=do)

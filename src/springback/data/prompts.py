"""Prompts to be answered: a JSONL or JSON file whose rows have `prompt` or `messages`; a text file, one prompt a line.

`prompt` is a string (one user turn) or a list of turns; `messages` is a list of turns. The last turn is the user's; an
assistant's turn at the end of `messages` is left out, as the answer that the row brings. A row with neither that has
`chosen` and `rejected` (conversations) gives the turns that both share. What else stands in a row goes along as
`about`, for a reward that looks a solution up. Nothing else is guessed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from springback.data import alpaca, jsonl
from springback.data.records import Message, Pair, Prompt
from springback.data.shapes import ROLES, At, rows_of
from springback.data.source import opened, refuse, sha256, text

TEXT = (".txt", ".txt.gz")


@dataclass(frozen=True, slots=True)
class Asked:
    """One prompt."""

    prompt: Prompt
    about: Mapping[str, Any]
    """The row's other keys."""
    where: str
    """`file:line`."""


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A whole file, in its order."""

    name: str
    rows: tuple[Asked, ...]
    sha256: str
    """Of the bytes as they lie on the disk."""


def read(path: Path) -> PromptFile:
    """Every prompt of the file. RefusedError (kind `data`) names the file, the line and the next step."""
    found = tuple(_lines(path) if path.name.endswith(TEXT) else _rows(path))
    if not found:
        refuse(f"{path.name} has no prompt.", where=str(path), next_step='Give {"prompt": …} rows, or a text file.')
    return PromptFile(path.name, found, sha256(path))


def _lines(path: Path) -> Iterator[Asked]:
    with opened(path) as file:
        lines = text(file.read(), path, 1).splitlines()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield Asked((Message("user", line.strip()),), {}, f"{path.name}:{number}")


def _rows(path: Path) -> Iterator[Asked]:
    named = path.name.removesuffix(".gz").endswith(".json")
    values = alpaca.read(path) if named and alpaca.is_array(path) else jsonl.read(path)
    for number, (line, value) in enumerate(values, start=1):
        at = At(str(path), path.name, line, number)
        if not isinstance(value, dict):
            at.no("A row must be a JSON object.", 'Give {"prompt": …} rows.')
        yield Asked(_prompt(value, at), _others(value), f"{path.name}:{line}")


def _others(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("prompt", "messages")}


def _prompt(row: dict[str, Any], at: At) -> Prompt:
    if isinstance(row.get("prompt"), str):
        if not row["prompt"].strip():
            at.no("The prompt is empty.")
        return (Message("user", row["prompt"]),)
    if "prompt" in row:
        return _ending_in_user(_turns(row["prompt"], "prompt", at), at)
    if "messages" in row:
        turns = _turns(row["messages"], "messages", at)
        return _ending_in_user(turns[:-1] if turns[-1].role == "assistant" else turns, at)
    if {"chosen", "rejected"} <= row.keys():
        return _shared(row, at)
    return at.no(
        f"This row has no prompt; its keys are {', '.join(sorted(row)) or 'none'}.", 'Give {"prompt": …} rows.'
    )


def _shared(row: dict[str, Any], at: At) -> Prompt:
    (pair,) = rows_of({name: row[name] for name in ("chosen", "rejected")}, "preferences as conversations", at)
    assert isinstance(pair, Pair)
    return pair.prompt


def _turns(value: Any, key: str, at: At) -> tuple[Message, ...]:
    right = isinstance(value, list) and value and all(isinstance(turn, dict) for turn in value)
    if not right or any(turn.get("role") not in ROLES or not isinstance(turn.get("content"), str) for turn in value):
        at.no(f'"{key}" must be a text or a list of turns {{"role": …, "content": …}}.')
    return tuple(Message(turn["role"], turn["content"]) for turn in value)


def _ending_in_user(turns: tuple[Message, ...], at: At) -> Prompt:
    if not turns or turns[-1].role != "user":
        at.no("A prompt's last turn must be the user's.")
    return turns

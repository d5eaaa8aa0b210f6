"""The shapes of one row, by its keys: which strings are the prompt and which the answer. Nothing is coerced.

`messages`: every assistant turn is an answer, everything before it its prompt. `prompt` is a string (one user turn) or
a list of turns; `completion`, `chosen` and `rejected` are a string or a list of one assistant turn. `chosen` and
`rejected` without `prompt` are two conversations that agree in every turn but the last.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from springback.data import alpaca
from springback.data.records import Example, Message, Pair, Prompt
from springback.data.source import FORMATS, refuse

ROLES: Final = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class At:
    """Where a row stands: the path as the user gave it, for errors; the file's name, for records."""

    path: str
    file: str
    line: int
    row: int
    """Which row of the file, from 1: in an array, more can stand on one line."""

    def no(self, message: str, next_step: str = "Correct this row.") -> NoReturn:
        """Refuse this row."""
        told = message if self.row == self.line else f"Row {self.row}: {message}"
        refuse(told, where=f"{self.path}:{self.line}", next_step=next_step)


def shape_of(row: Any, at: At) -> str:
    """The name of the row's shape, or a refusal that says which keys would do."""
    if not isinstance(row, dict):
        at.no(f"A row must be a JSON object; this is {_kind(row)}.", f"Give {FORMATS}.")
    keys = frozenset(row)
    name = next((name for name, allowed in KEYS.items() if keys in allowed), None)
    if name is None:
        at.no(f"These keys are not understood: {', '.join(sorted(keys)) or 'none'}.",
              f"Give {FORMATS}; remove or rename other keys.")  # fmt: skip
    return name


def rows_of(row: dict[str, Any], shape: str, at: At) -> Iterator[Example | Pair]:
    """The row as an example or, where it is a preference, as a pair; a conversation as one example a turn."""
    if shape == "messages":
        yield from _conversation(row, at)
    else:
        yield READ[shape](row, at)


def _conversation(row: dict[str, Any], at: At) -> Iterator[Example]:
    """Every assistant turn with all that came before it: each turn, its stop token included, is taught."""
    said = turns(row["messages"], "messages", at)
    _last_answer(said[-1], "messages", at)
    for place, turn in enumerate(said):
        if turn.role == "assistant":
            prompt = ending_in_user(tuple(said[:place]), at)
            yield _example(prompt, _last_answer(turn, "messages", at), at)


def _completion(row: dict[str, Any], at: At) -> Example:
    return _example(_prompt(row["prompt"], at), _answer(row["completion"], "completion", at), at)


def _instruction(row: dict[str, Any], at: At) -> Example:
    given = string(row.get("input", ""), "input", at)
    instruction = _filled(row["instruction"], "instruction", at)
    return _example(alpaca.prompt(instruction, given), _filled(row["output"], "output", at), at)


def _preference(row: dict[str, Any], at: At) -> Pair:
    prompt = _prompt(row["prompt"], at)
    return _pair(prompt, _answer(row["chosen"], "chosen", at), _answer(row["rejected"], "rejected", at), at)


def _two_conversations(row: dict[str, Any], at: At) -> Pair:
    sides = []
    for name in ("chosen", "rejected"):
        if isinstance(row[name], str):
            at.no(f'"{name}" is a string, and there is no "prompt".', 'Give "prompt", "chosen" and "rejected".')
        *before, last = turns(row[name], name, at)
        sides.append((tuple(before), _last_answer(last, name, at)))
    (prompt, chosen), (other, rejected) = sides
    if prompt != other:
        at.no('"chosen" and "rejected" differ before their last turn.', "Give two answers to one prompt.")
    return _pair(ending_in_user(prompt, at), chosen, rejected, at)


def _example(prompt: Prompt, answer: str, at: At) -> Example:
    return Example(prompt, answer, at.line, at.file)


def _pair(prompt: Prompt, chosen: str, rejected: str, at: At) -> Pair:
    where = f"{at.file}:{at.line}"
    return Pair(prompt, chosen, rejected, (where, where))


def _prompt(value: Any, at: At) -> Prompt:
    if isinstance(value, list):
        return ending_in_user(turns(value, "prompt", at), at)
    return (Message("user", _filled(value, "prompt", at)),)


def _answer(value: Any, name: str, at: At) -> str:
    if not isinstance(value, list):
        return _filled(value, name, at)
    if len(value) != 1:
        at.no(f'"{name}" has {len(value)} turns; it must be one assistant turn.')
    return _last_answer(turns(value, name, at)[0], name, at)


def _last_answer(turn: Message, name: str, at: At) -> str:
    if turn.role != "assistant":
        at.no(f'The last turn of "{name}" is {turn.role}; it must be assistant, it is the answer.')
    return turn.content


def ending_in_user(prompt: Prompt, at: At) -> Prompt:
    if not prompt or prompt[-1].role != "user":
        at.no("There is no user turn before the answer.", "Let a user turn come last in the prompt.")
    return prompt


def turns(value: Any, name: str, at: At) -> Prompt:
    if not isinstance(value, list) or not value:
        at.no(f'"{name}" must be a list of turns; this is {_kind(value)}.')
    return tuple(_turn(each, f"{name}[{i}]", at, first=i == 0) for i, each in enumerate(value))


def _turn(value: Any, name: str, at: At, *, first: bool) -> Message:
    if not isinstance(value, dict) or value.keys() != {"role", "content"}:
        at.no(f'"{name}" must be an object with "role" and "content" and nothing else.')
    role = value["role"]
    if role not in ROLES or (role == "system" and not first):
        at.no(f'"{name}" has the role {role!r}; a turn is user or assistant, the first may be system.')
    content = string(value["content"], f"{name}.content", at)
    return Message(role, content if role == "system" else _filled(content, f"{name}.content", at))


def _filled(value: Any, name: str, at: At) -> str:
    if not (found := string(value, name, at)).strip():
        at.no(f'"{name}" is empty.', "Fill it, or remove this row.")
    return found


def string(value: Any, name: str, at: At) -> str:
    if not isinstance(value, str):
        at.no(f'"{name}" must be a string; this is {_kind(value)}.', "Put it in quotes; nothing is converted.")
    if "\x00" in value:
        at.no(f'"{name}" holds a NUL character.', "Remove it; no tokenizer and no page can show it.")
    if any("\ud800" <= sign <= "\udfff" for sign in value):
        at.no(f'"{name}" holds half of a surrogate pair (\\ud800 to \\udfff).', "Write the whole character.")
    return value


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return {str: "a string", dict: "an object"}.get(type(value), f"the number {value}")


KEYS: Final[dict[str, tuple[frozenset[str], ...]]] = {
    "messages": (frozenset({"messages"}),),
    "prompt and completion": (frozenset({"prompt", "completion"}),),
    "preferences": (frozenset({"prompt", "chosen", "rejected"}),),
    "preferences as conversations": (frozenset({"chosen", "rejected"}),),
    "instructions": (frozenset({"instruction", "output"}), frozenset({"instruction", "input", "output"})),
}
"""Shape: the sets of keys that have it."""

READ: Final[dict[str, Callable[[dict[str, Any], At], Example | Pair]]] = {  # `messages` is one of several rows
    "prompt and completion": _completion,
    "preferences": _preference,
    "preferences as conversations": _two_conversations,
    "instructions": _instruction,
}

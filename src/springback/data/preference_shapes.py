"""The shapes of one row of preference data, by its columns; columns that no shape names are passed over and told.

- prompt and pair: prompt (or question, instruction [+ input], input; system) with chosen and rejected: a string, one
  assistant turn, or the whole conversation; score_chosen and score_rejected where given
- conversations: chosen and rejected alone, lists of turns that part at the last one
- transcripts: chosen and rejected alone, strings as in HH-RLHF (`data/hh.py`)
- ranked answers: a prompt with completions (`data/scores.py`)
- labelled answers: a prompt with completion and label, true or false
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from springback.data import alpaca, hh
from springback.data.choices import Choice, Judged, Ranking, Unusable
from springback.data.records import Message, Prompt
from springback.data.scores import number, ranking
from springback.data.shapes import At, ending_in_user, string, turns

Found = Choice | Ranking | Judged | Unusable
PROMPTS: Final = ("prompt", "question", "instruction", "input")
SCORED: Final = (
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen_rating", "rejected_rating"),
)
FORMATS: Final = (
    'rows with "prompt", "chosen" and "rejected"; two conversations or transcripts "chosen" and "rejected"; "prompt" '
    'and "completions", the best first or with "scores"; or "prompt", "completion" and "label"'
)


def shape_of(row: Any, at: At) -> str:
    """The name of the row's shape, or a refusal that says which columns would do."""
    if not isinstance(row, dict):
        at.no("A row must be a JSON object.", f"Give {FORMATS}.")
    name = _shape(row)
    if name is None:
        at.no(f"These columns hold no preference: {', '.join(sorted(row)) or 'none'}.", f"Give {FORMATS}.")
    return name


def _shape(row: Mapping[str, Any]) -> str | None:
    asked = any(isinstance(row.get(name), str | list) for name in PROMPTS)
    if {"chosen", "rejected"} <= row.keys():
        alone = "transcripts" if isinstance(row["chosen"], str) else "conversations"
        return "prompt and pair" if asked else alone
    if asked and "completions" in row:
        return "ranked answers"
    return "labelled answers" if asked and {"completion", "label"} <= row.keys() else None


def read_row(row: dict[str, Any], shape: str, at: At, *, field: str | None = None) -> Found:
    """What the row says, or why it says nothing; a row that is not what its columns promise is refused."""
    if shape == "ranked answers":
        return ranking(_prompt(row, at), row, at, field=field)
    return READ[shape](row, at)


def columns(shape: str) -> frozenset[str]:
    """The columns that a shape looks at."""
    return COLUMNS[shape]


def _pair(row: Mapping[str, Any], at: At) -> Choice:
    prompt = _prompt(row, at)
    sides = [_side(row[name], name, at) for name in ("chosen", "rejected")]
    if any(before is not None for before, _ in sides):
        prompt = _told(prompt, [before for before, _ in sides], at)
    return Choice(prompt, sides[0][1], sides[1][1], f"{at.file}:{at.line}", _scores(row, at))


def _told(prompt: Prompt, before: list[Prompt | None], at: At) -> Prompt:
    """The prompt where the answers come as whole conversations: it must stand in both of them."""
    first = next(turns for turns in before if turns is not None)
    if any(turns is not None and turns != first for turns in before):
        at.no('"chosen" and "rejected" differ before their last turn.', "Give two answers to one prompt.")
    spoken = tuple(turn for turn in first if turn.role != "system")
    asked = [turn for turn in prompt if turn.role != "system"]
    if len(asked) > 1 and tuple(asked) != spoken:
        at.no('"prompt" is not what stands before the last turn of "chosen".', "Give the prompt once.")
    if asked[-1].content.strip() not in {turn.content.strip() for turn in spoken if turn.role == "user"}:
        at.no('"prompt" is no user turn of "chosen".', "Give the prompt once.")
    return ending_in_user(first, at)


def _conversations(row: Mapping[str, Any], at: At) -> Found:
    (before, chosen), (other, rejected) = (_side(row[name], name, at) for name in ("chosen", "rejected"))
    where = f"{at.file}:{at.line}"
    if before is None or other is None:
        return Unusable("there is no turn before the answer", where)
    if before != other:
        return Unusable("the two conversations part before their last turn", where)
    return Choice(ending_in_user(before, at), chosen, rejected, where, _scores(row, at))


def _transcripts(row: Mapping[str, Any], at: At) -> Found:
    chosen, rejected = (string(row[name], name, at) for name in ("chosen", "rejected"))
    if not (hh.is_transcript(chosen) and hh.is_transcript(rejected)):
        at.no('"chosen" and "rejected" are strings without a "prompt", and no transcripts of Human and Assistant.',
              'Give "prompt" too.')  # fmt: skip
    return hh.choice(chosen, rejected, f"{at.file}:{at.line}")


def _labelled(row: Mapping[str, Any], at: At) -> Judged:
    if not isinstance(row["label"], bool):
        at.no(f'"label" must be true or false; this is {row["label"]!r}.', "Nothing is converted: write true or false.")
    before, answer = _side(row["completion"], "completion", at)
    if before is not None:
        at.no('"completion" must be one answer, not a conversation.')
    return Judged(_prompt(row, at), answer, row["label"], f"{at.file}:{at.line}")


def _side(value: Any, name: str, at: At) -> tuple[Prompt | None, str]:
    """What stands before the answer, where a conversation is given, and the answer; it may be empty."""
    if not isinstance(value, list):
        return None, string(value, name, at)
    if not value or not isinstance(value[-1], dict) or value[-1].get("role") != "assistant":
        at.no(f'"{name}" must be an answer or a list of turns that ends with one of the assistant.')
    answer = string(value[-1].get("content"), f"{name}[{len(value) - 1}].content", at)
    return (turns(value[:-1], name, at) if len(value) > 1 else None), answer


def _prompt(row: Mapping[str, Any], at: At) -> Prompt:
    name = next(each for each in PROMPTS if isinstance(row.get(each), str | list))
    value = row[name]
    if isinstance(value, list):
        return ending_in_user(turns(value, name, at), at)
    text = string(value, name, at)
    if name == "instruction" and row.get("input"):
        return alpaca.prompt(text, string(row["input"], "input", at))
    if hh.is_transcript(text) and text.rstrip().endswith("Assistant:") and (said := hh.prompt(text)):
        return said
    if not text.strip():
        at.no(f'"{name}" is empty.', "Fill it, or remove this row.")
    system = row.get("system")
    first = (Message("system", string(system, "system", at)),) if system else ()
    return (*first, Message("user", text))


def _scores(row: Mapping[str, Any], at: At) -> tuple[float, float] | None:
    names = next((pair for pair in SCORED if all(row.get(name) is not None for name in pair)), None)
    return None if names is None else (number(row[names[0]], names[0], at), number(row[names[1]], names[1], at))


READ: Final[Mapping[str, Callable[[dict[str, Any], At], Found]]] = {
    "prompt and pair": _pair,
    "conversations": _conversations,
    "transcripts": _transcripts,
    "labelled answers": _labelled,
}
_ASKED: Final = frozenset((*PROMPTS, "system"))
_SCORES: Final = frozenset(name for pair in SCORED for name in pair)
COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "prompt and pair": _ASKED | _SCORES | {"chosen", "rejected"},
    "conversations": _SCORES | {"chosen", "rejected"},
    "transcripts": frozenset({"chosen", "rejected"}),
    "ranked answers": _ASKED | {"completions", "scores"},
    "labelled answers": _ASKED | {"completion", "label"},
}

r"""Transcripts as in HH-RLHF (Bai et al., 2022): `chosen` and `rejected` are whole dialogues as one string.

    "\n\nHuman: …\n\nAssistant: …\n\nHuman: …\n\nAssistant: the answer"

The prompt is what both have in common up to the last mark of an assistant's turn; the rest is the answer. Where the
dialogues part before their last turn, no two answers to one prompt are there and the row is dropped. White space around
a turn is the format's, not the speaker's: it is taken off. Fields: `chosen`, `rejected`; licence of the data: MIT.
"""

import re
from itertools import takewhile
from typing import Final

from springback.data.choices import Choice, Unusable
from springback.data.records import Message, Prompt, Role

HUMAN: Final = "\n\nHuman:"
ASSISTANT: Final = "\n\nAssistant:"
TURN: Final = re.compile(r"\n\n(Human|Assistant):")
ROLES: Final[dict[str, Role]] = {"Human": "user", "Assistant": "assistant"}
PARTED = "the two dialogues part before their last turn"
UNSPOKEN = "no answer of an assistant stands at the end of both dialogues"


def is_transcript(text: object) -> bool:
    """Whether a string is one: it begins with a human's turn and marks an assistant's."""
    return isinstance(text, str) and text.lstrip().startswith("Human:") and ASSISTANT in text


def choice(chosen: str, rejected: str, where: str) -> Choice | Unusable:
    """The pair in two dialogues; empty or equal answers are left to the caller."""
    texts = ["\n\n" + text.lstrip() for text in (chosen, rejected)]
    alike = sum(1 for _ in takewhile(lambda signs: signs[0] == signs[1], zip(*texts, strict=False)))
    end = texts[0][:alike].rfind(ASSISTANT)
    if end < 0:
        return Unusable(UNSPOKEN, where)
    answers = [text[end + len(ASSISTANT) :] for text in texts]
    if any(TURN.search(answer) for answer in answers):
        return Unusable(PARTED, where)
    said = prompt(texts[0][:end] + ASSISTANT)
    if said is None:
        return Unusable("a dialogue has a turn without words, or does not begin with a human's", where)
    return Choice(said, answers[0].strip(), answers[1].strip(), where)


def prompt(text: str) -> Prompt | None:
    """The turns of a transcript that ends in the mark of the answer to come; None where it is none."""
    _, *parts = TURN.split("\n\n" + text.strip())
    turns = tuple(Message(ROLES[role], said.strip()) for role, said in zip(parts[0:-2:2], parts[1:-2:2], strict=True))
    ends = parts[-2:] == ["Assistant", ""]
    fine = ends and turns and turns[-1].role == "user" and all(turn.content for turn in turns)
    return turns if fine else None

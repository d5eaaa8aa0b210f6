"""What a program or an endpoint is sent of a completion, and reads back."""

import json
from typing import Any

from springback.models.rollout import Completion


def sent(one: Completion) -> dict[str, Any]:
    """As JSON: `prompt`, `text`, `prompt_ids`, `answer_ids`, `ended`, `about`, `turns`."""
    return {
        "prompt": one.prompt, "text": one.text, "prompt_ids": list(one.prompt_ids),
        "answer_ids": list(one.answer_ids), "ended": one.ended, "about": dict(one.about),
        "turns": [dict(turn) for turn in one.turns],
    }  # fmt: skip


def line(one: Completion) -> str:
    """One line of JSON."""
    return json.dumps(sent(one), ensure_ascii=True)

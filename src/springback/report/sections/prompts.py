"""Prompts as they are shown: without what all of them share of the chat template."""

import re
from collections.abc import Sequence
from typing import Final

from springback.report.evidence import Evidence

MARKS: Final = re.compile(r"<\|[^|<>\s]+\|>|<(?:start|end)_of_turn>|</?s>|\[/?INST\]|\n")
"""What chat templates part turns with."""


def shared(evidence: Evidence) -> tuple[str, str]:
    """What every stored prompt begins and ends with, up to a mark of a template; empty for fewer than two prompts."""
    found = sorted({str(b.get("prompt") or "") for kind in ("sample", "strip") for b in evidence.kind(kind).values()})
    if len(found) < 2:
        return "", ""
    head, tail = _prefix(found), _prefix([text[::-1] for text in found])[::-1]
    ends = [found.end() for found in MARKS.finditer(head)]
    first = MARKS.search(tail)
    return head[: ends[-1]] if ends else "", tail[first.start() :] if first else ""


def shown(text: str, around: tuple[str, str]) -> str:
    """The prompt without them; the whole of it where nothing would be left."""
    return text.removeprefix(around[0]).removesuffix(around[1]) or text


def _prefix(texts: Sequence[str]) -> str:
    low, high = min(texts), max(texts)
    length = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:length]

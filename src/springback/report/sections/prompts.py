"""Prompts as they are shown: without the lines of the chat template that all of them share."""

from collections.abc import Sequence

from springback.report.evidence import Evidence


def shared(evidence: Evidence) -> tuple[str, str]:
    """The lines that every stored prompt begins and ends with; empty where there are fewer than two prompts."""
    found = sorted({str(b.get("prompt") or "") for kind in ("sample", "strip") for b in evidence.kind(kind).values()})
    if len(found) < 2:
        return "", ""
    head, tail = _prefix(found), _prefix([text[::-1] for text in found])[::-1]
    return head[: head.rfind("\n") + 1], tail[tail.find("\n") :] if "\n" in tail else ""


def shown(text: str, around: tuple[str, str]) -> str:
    """The prompt without them; the whole of it where nothing would be left."""
    return text.removeprefix(around[0]).removesuffix(around[1]) or text


def _prefix(texts: Sequence[str]) -> str:
    low, high = min(texts), max(texts)
    length = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:length]

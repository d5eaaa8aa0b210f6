"""Real answers token by token: tint and bar by KL, and what both models would have said at that place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from springback.report.evidence import Evidence
from springback.report.numbers import STYLES, bare
from springback.report.point import Body
from springback.report.sections import prompts
from springback.report.sections.words import name_of
from springback.report.value import Real, finite

STEPS: Final = (0.5, 1.0, 1.5, 2.0)
"""Bits per token at which the tint changes."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a model's five likeliest next tokens."""

    text: str
    probability: str
    width: int
    taken: bool


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    kl: str
    tint: int
    rank: str
    start: tuple[Choice, ...]
    model: tuple[Choice, ...]
    record: str


@dataclass(frozen=True, slots=True)
class Strip:
    model: str
    against: str
    prompt: str
    tokens: tuple[Token, ...]
    record: str
    role: str
    open: int
    """Index of the token that is shown first: the one with the largest KL."""


def view(evidence: Evidence) -> tuple[Strip, ...]:
    around = prompts.shared(evidence)
    found = (_strip(evidence, key, body, around) for key, body in evidence.kind("strip").items())
    return tuple(strip for strip in found if strip.tokens)


def tint(bits: Real) -> int:
    """0 to 4, for the five steps of the colour and the height of the bar."""
    return sum(bits >= step for step in STEPS)


def _strip(evidence: Evidence, key: str, body: Body, around: tuple[str, str]) -> Strip:
    record = f"strip:{key}"
    name, role = name_of(evidence, body.get("cell"))
    tokens = [t for t in body.get("tokens") or [] if isinstance(t, dict)]
    bits = [finite(t.get("kl")) or 0.0 for t in tokens]
    against = name_of(evidence, body.get("against"))[0] if body.get("against") else "start"
    return Strip(
        model=name,
        against=against,
        prompt=prompts.shown(str(body.get("prompt") or ""), around),
        tokens=tuple(_token(t, record) for t in tokens),
        record=record,
        role=role,
        open=bits.index(max(bits)) if bits else 0,
    )


def _token(token: dict[str, Any], record: str) -> Token:
    text, bits = str(token.get("text", "")), finite(token.get("kl"))
    shift = finite(token.get("rank_shift"))
    return Token(
        text=text,
        kl="not measured" if bits is None else bare(bits, STYLES["kl"]),
        tint=tint(bits or 0.0),
        rank="" if shift is None else bare(shift, STYLES["tokens"]).removesuffix(".0"),
        start=_choices(token.get("start_top"), text),
        model=_choices(token.get("model_top"), text),
        record=record,
    )


def _choices(top: Any, taken: str) -> tuple[Choice, ...]:
    pairs: Sequence[Any] = top if isinstance(top, list) else ()
    found = []
    for text, p in (pair for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2):
        probability = finite(p) or 0.0
        found.append(Choice(str(text), f"{probability:.2f}", round(100 * probability), str(text) == taken))
    return tuple(found)

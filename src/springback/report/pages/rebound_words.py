"""What the page of a rebound run calls its sweeps, and how it prints what one sweep says."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from springback.report.evidence import Records
from springback.report.markup import pointed
from springback.report.numbers import short
from springback.report.value import Real, Value, finite

LONGEST = 26
"""Letters of a sweep's name beside a line."""
SHORT = {"align_mix": "mix", "reverse_mix": "reversal mix", "model": "", "tuner": "", "align_with": "by",
         "reverse_with": "", "reversal_data": "on"}  # fmt: skip
"""What stands before the value of an axis; nothing where the value says it."""


def label(text: Any) -> str:
    """A verdict's label or an axis as it is read."""
    return str(text or "no verdict").replace("_", " ")


def varied(records: Records, name: str) -> Mapping[str, Any]:
    return records["sweep"][name].get("varied") or {}


def called(records: Records, name: str) -> str:
    """A sweep by its number and what varies: `01: mix 0, replay`; a lone sweep by its number."""
    number = name.partition("-")[0]
    said = ", ".join(_value(axis, value) for axis, value in varied(records, name).items())
    return f"{number}: {said}" if said else number


def beside(records: Records, name: str) -> str:
    """The same, cut to stand beside a line."""
    text = called(records, name)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def linked(records: Records, name: str) -> Markup:
    """The same, leading to the sweep's own page beside this one."""
    return Markup('<a href="sweeps/{}/report.html">{}</a>').format(quote(name, safe=""), called(records, name))


def plain(number: Any, record: str) -> Markup | str:
    """A count or a bare number with its record; a dash where there is none."""
    known = finite(number)
    return "–" if known is None else pointed(short(known), record, stored=known)


def open_ended(found: Value, *, digits: int = 3, scale: Real = 1) -> Markup:
    """`estimate [low, high]` times `scale` to significant digits, `…` for an end that is not known."""
    if found.estimate is None:
        return Markup('<b class="nrt" data-record="{}">not reportable</b>').format(found.record)
    low, high = ("…" if end is None else short(end * scale, digits) for end in (found.low, found.high))
    ends = "" if found.low is None and found.high is None else f" [{low}, {high}]"
    inner = Markup('{}<span class="iv">{}</span>').format(short(found.estimate * scale, digits), ends)
    return pointed(inner, found.record, stored=found.estimate)


def whys(found: Iterable[tuple[str, Value]]) -> str:
    """Why some numbers of a table are not reportable, each reason once."""
    told: dict[str, list[str]] = {}
    for name, value in found:
        if value.estimate is None:
            told.setdefault(value.why, []).append(name)
    said = [f"{_some(dict.fromkeys(names))}: {why}." for why, names in told.items()]
    return "Not reportable: " + " ".join(said) if said else ""


def _some(names: Iterable[str]) -> str:
    every: Sequence[str] = list(names)
    return ", ".join(every[:4]) + (f" and {len(every) - 4} more" if len(every) > 4 else "")


def _value(axis: str, value: Any) -> str:
    text = str(value).rstrip("/").rpartition("/")[2] if axis in ("model", "reversal_data") else str(value)
    return f"{SHORT.get(axis, axis)} {text}".strip() + (" %" if axis.endswith("_mix") else "")

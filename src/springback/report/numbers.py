"""How a number is printed: U+2212, a leading zero, the same decimals for one reading everywhere, no-break spaces.

Estimate [low, high] unit. A sign only on differences. Pages print numbers through this module and no other.
"""

from dataclasses import dataclass, replace
from typing import Final

from springback.report.value import Real, Value

MINUS: Final = "\u2212"
NO_BREAK: Final = "\u00a0"
A_STEP: Final = "per optimiser step"
"""The unit of a slope; what it is a slope of is its reading's."""


@dataclass(frozen=True, slots=True)
class Style:
    """How one reading is printed."""

    decimals: int
    """Digits after the point."""
    scale: Real = 1.0
    """Printed value = stored value times scale."""
    unit: str = ""
    """Printed after the interval, with the power of ten that `scale` took out."""


STYLES: Final = {
    "score": Style(3),
    "margin": Style(1, 1e3, "·10⁻³ bit/bit"),
    "gamma": Style(4, unit="bit/bit"),
    "kl": Style(3, unit="bit/token"),
    "share": Style(2),
    "layer": Style(1),
    "position": Style(1),
    "bits": Style(2, unit="bit"),
    "tokens": Style(1, unit="tokens"),
    "rate": Style(3),
}
"""One style a reading."""

OF_UNIT: Final = {
    "bit/bit": "margin",
    "bit/token": "kl",
    "bit": "bits",
    "bits": "bits",
    "share": "share",
    "score": "score",
    "layer": "layer",
    "token": "position",
    "tokens": "tokens",
    "position": "position",
}
"""The style of a value whose reading is not named."""


def style_for(value: Value, reading: str | None = None) -> Style:
    """The style of a reading, else of the unit; a share keeps its own, a slope says that it is a step's."""
    if value.unit.startswith("share") and reading not in ("score", "rate"):
        return STYLES["share"]
    if reading in STYLES:
        style = STYLES[reading]
        return replace(style, unit=f"{style.unit} a step".lstrip()) if value.unit == A_STEP else style
    known = "score" if value.unit.startswith("probability") else OF_UNIT.get(value.unit)
    return STYLES[known] if known else Style(3, unit=value.unit)


def bare(number: Real, style: Style, *, sign: bool = False) -> str:
    """One number without its unit; zero has no sign."""
    text = f"{abs(number) * style.scale:,.{style.decimals}f}"
    if not text.strip("0.,"):
        return text
    return MINUS + text if number < 0 else ("+" if sign else "") + text


def interval(value: Value, style: Style, *, sign: bool = False) -> str:
    """`[low, high]`, or nothing where the value has none."""
    if value.low is None or value.high is None:
        return ""
    return f"[{bare(value.low, style, sign=sign)}, {bare(value.high, style, sign=sign)}]"


def full(value: Value, style: Style, *, sign: bool = False, unit: bool = True) -> str:
    """`estimate [low, high] unit`; the words *not reportable* and the reason where there is no estimate."""
    if value.estimate is None:
        return f"not reportable: {value.why}" if value.why else "not reportable"
    parts = [bare(value.estimate, style, sign=sign), interval(value, style, sign=sign), style.unit if unit else ""]
    return NO_BREAK.join(part for part in parts if part)


SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def short(number: Real, digits: int = 3) -> str:
    """To significant digits: `0.0213`, `1,200`, `−1.08·10⁻⁷`; a power of ten below 10⁻³ and from 10⁵ on."""
    if number == 0:
        return "0"
    sign, size = MINUS if number < 0 else "", abs(number)
    mantissa, power = f"{size:.{digits - 1}e}".split("e")
    if -3 <= int(power) < 5:
        whole = f"{float(f'{mantissa}e{power}'):,.{max(0, digits - 1 - int(power))}f}"
        return sign + (whole.rstrip("0").rstrip(".") if "." in whole else whole)
    factor = mantissa.rstrip("0").rstrip(".")
    return sign + ("" if factor == "1" else f"{factor}·") + "10" + str(int(power)).translate(SUPERSCRIPT)


def count(number: Real) -> str:
    """A count with thousands separated: `7,390`."""
    return f"{number:,.0f}".replace("-", MINUS)


def sized(name: str, size: Real | str) -> str:
    """`n = 8`, never broken over two lines; a model that came aligned has no size."""
    return f"{name}{NO_BREAK}={NO_BREAK}{size if isinstance(size, str) else count(size)}"


def plural(number: Real, one: str, many: str | None = None) -> str:
    """`1 optimiser step`, `4 optimiser steps`; the number and the word stay together."""
    return f"{count(number)}{NO_BREAK}{one if number == 1 else many or one + 's'}"


def fraction(n: Real, whole: Real | str) -> str:
    """`N/8`, `N/2`, `N`, `2N`: how a reversal compares with the alignment before it; empty without an alignment."""
    if not n or not whole or isinstance(whole, str):
        return ""
    if n <= whole:
        return "N" if n == whole else f"N/{_short(whole / n)}"
    return f"{_short(n / whole)}N"


def probability(p: Real | None) -> str:
    """A p-value: three decimals, `< 0.001` below."""
    if p is None:
        return "–"
    return f"<{NO_BREAK}0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: Real) -> str:
    """Seconds below two minutes, then minutes, then hours."""
    if seconds < 120:
        return f"{seconds:.0f}{NO_BREAK}s"
    return f"{seconds / 60:.0f}{NO_BREAK}minutes" if seconds < 7200 else f"{seconds / 3600:.1f}{NO_BREAK}hours"


def memory(size: Real) -> str:
    """Bytes in MB below one GiB, in GiB from there on."""
    return f"{size / 2**30:.2f}{NO_BREAK}GiB" if size >= 2**30 else f"{size / 1e6:.1f}{NO_BREAK}MB"


def _short(number: Real) -> str:
    return f"{number:.0f}" if abs(number - round(number)) < 0.05 else f"{number:.1f}"

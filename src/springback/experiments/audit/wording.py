"""How a number is said: estimate [low, high] unit, U+2212 for minus, a sign only on differences, no-break spaces."""

from springback.stats.measured import Measured

NBSP = "\u00a0"
MILLI = f"·10⁻³{NBSP}bit/bit"


def number(x: float, decimals: int, *, signed: bool = False) -> str:
    """A plain number; what rounds to 0 has no sign."""
    text = f"{abs(x):.{decimals}f}"
    if float(text) == 0:
        return text
    return ("−" if x < 0 else "+" if signed else "") + text


def said(value: Measured | None, *, signed: bool = False) -> str:
    """Estimate with interval and unit, in the decimals of that unit; "not measured (why)" where there is none."""
    if value is None or value.estimate is None or value.low is None or value.high is None:
        return f"not measured ({value.why})" if value is not None else "not measured"
    scale, decimals, unit = _grain(value.unit)
    centre, low, high = (number(x * scale, decimals, signed=signed) for x in (value.estimate, value.low, value.high))
    return f"{centre} [{low}, {high}]" + (f"{NBSP}{unit}" if unit else "")


def size(name: str, examples: int | str) -> str:
    """`n = 8`, unbreakable; for a model that came aligned, `N unknown`."""
    return f"{name}{NBSP}={NBSP}{examples}" if isinstance(examples, int) else f"{name}{NBSP}unknown"


def steps(count: int) -> str:
    """`1 optimiser step`."""
    return f"{count}{NBSP}optimiser step{'s' * (count != 1)}"


def wanted(examples: int | str) -> str:
    """What the alignment was made of."""
    return f"{examples} wanted examples" if isinstance(examples, int) else "its alignment"


def outcome_sentence(claim: str, outcome: str, statistic: Measured, reach: float | None) -> str:
    """One line a test: the claim, what came out, and what could have been seen."""
    if outcome == "not_measured":
        return f"Not measured: {claim} ({statistic.why})"
    head = {"holds": "Holds", "fails": "The opposite holds", "undecided": "Cannot tell"}[outcome]
    tail = "" if reach is None else f"; could have seen {plain(reach, statistic.unit)}"
    return f"{head}: {claim} {said(statistic, signed=True)}{tail}."


def plain(x: float, unit: str) -> str:
    """A number without interval, in the decimals and unit of its reading."""
    scale, decimals, shown = _grain(unit)
    return f"{number(x * scale, decimals)}{NBSP}{shown}".rstrip()


def _grain(unit: str) -> tuple[float, int, str]:
    """Scale, decimals and name by which a unit is printed, the same everywhere."""
    return {
        "bit/bit": (1e3, 1, MILLI),
        "score": (1.0, 3, ""),
        "bit/token": (1.0, 3, "bit/token"),
        "share of the gain": (1.0, 2, ""),
        "share": (1.0, 2, ""),
        "probability of wanted": (1.0, 3, ""),
        "position": (1.0, 1, ""),
        "layer": (1.0, 1, ""),
    }.get(unit, (1.0, 4, unit))

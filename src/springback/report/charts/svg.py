"""The smallest SVG writer that escapes: every attribute and every text goes through `html.escape`."""

from collections.abc import Iterable
from html import escape

from markupsafe import Markup

from springback.report.seen import visible
from springback.report.value import Real

Attribute = str | Real | None


def number(x: Real) -> str:
    """A coordinate: one decimal, no negative zero, so that a page is the same on every machine."""
    text = f"{x:.1f}"
    return text[:-2] if text.endswith(".0") and text != "-0.0" else ("0" if text == "-0.0" else text)


def tag(name: str, /, text: str | None = None, *, inside: Iterable[str] = (), **attributes: Attribute) -> str:
    """One element. `class_` is `class`, underscores become hyphens, None leaves an attribute out."""
    written = "".join(f' {_name(key)}="{_value(given)}"' for key, given in attributes.items() if given is not None)
    body = "".join(inside) + (escape(visible(text), quote=False) if text is not None else "")
    return f"<{name}{written}>{body}</{name}>" if body else f"<{name}{written}/>"


def svg(width: Real, height: Real, parts: Iterable[str], *, label: str = "", name: str = "pl") -> Markup:
    """A picture. With a label it is an image that can be focused; without one it is decoration."""
    box = f"0 0 {number(width)} {number(height)}"
    if label:
        return Markup(tag("svg", inside=parts, viewBox=box, class_=name, role="img", aria_label=label, tabindex="0"))  # noqa: S704, RUF100
    return Markup(tag("svg", inside=parts, viewBox=box, class_=name, aria_hidden="true"))  # noqa: S704, RUF100


def line(x1: Real, y1: Real, x2: Real, y2: Real, name: str, data_record: str | None = None) -> str:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=name, data_record=data_record)


def polyline(points: Iterable[tuple[Real, Real]], name: str, data_record: str | None = None) -> str:
    return tag("polyline", points=_points(points), class_=name, data_record=data_record)


def polygon(points: Iterable[tuple[Real, Real]], name: str, data_record: str | None = None) -> str:
    return tag("polygon", points=_points(points), class_=name, data_record=data_record)


def words(x: Real, y: Real, text: str, name: str, *, anchor: str = "start", data_record: str | None = None) -> str:
    return tag(
        "text", text, x=x, y=y, class_=name, text_anchor=None if anchor == "start" else anchor, data_record=data_record
    )


def _points(points: Iterable[tuple[Real, Real]]) -> str:
    return " ".join(f"{number(x)},{number(y)}" for x, y in points)


def _name(key: str) -> str:
    return {"class_": "class", "viewBox": "viewBox", "tabindex": "tabindex"}.get(key, key.replace("_", "-"))


def _value(given: Attribute) -> str:
    return number(given) if isinstance(given, int | float) else escape(visible(str(given)))

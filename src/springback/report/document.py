"""A whole HTML document from a template: its own style, script and policy stand inside, nothing is loaded."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from springback import __version__
from springback.report.charts.marks import mark
from springback.report.charts.svg import svg
from springback.report.csp import policy
from springback.report.markup import num
from springback.report.numbers import count, sized
from springback.report.sections.words import spelled
from springback.report.seen import finalize, said, token
from springback.report.tables import embedded

LIMIT: Final = 1_500_000
"""Bytes that a page may have."""


def document(template: str, *, data: Mapping[str, Any], **shown: Any) -> str:
    """The template filled in, with `data` inside as JSON."""
    style, script = _file("style.css"), _file("script.js")
    text = _environment().get_template(template).render(
        style=Markup(style), script=Markup(script), policy=policy(style, script), version=__version__,  # noqa: S704, RUF100
        data=Markup(embedded(data)), **shown,  # noqa: S704, RUF100
    )  # fmt: skip
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("springback.report", "templates"), autoescape=True, undefined=StrictUndefined,
        finalize=finalize, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.globals.update(said=said, token=token, num=num, sized=sized, count=count, glyph=_glyph, spelled=spelled)
    return found


def _glyph(role: str) -> Markup:
    """The mark of a model, as it stands beside its name."""
    return svg(12, 12, [mark(6, 6, role)], name="gl")


def _file(name: str) -> str:
    return files("springback.report").joinpath("templates", name).read_text(encoding="utf-8").strip()

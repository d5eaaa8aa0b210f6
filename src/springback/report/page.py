"""One run → one self-contained HTML page, from stored records alone: no torch, no network, always the same bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from springback import __version__
from springback.report import embed
from springback.report.charts.marks import mark
from springback.report.charts.svg import svg
from springback.report.csp import policy
from springback.report.evidence import Evidence, Records
from springback.report.markup import num
from springback.report.numbers import count, sized
from springback.report.sections import (
    advice,
    depth,
    falls,
    flips,
    gains,
    head,
    points,
    rebound,
    samples,
    scorer,
    strip,
    tests,
    undone,
    used,
)
from springback.report.sections.words import spelled
from springback.report.seen import finalize, said, token
from springback.report.tables import embedded
from springback.report.written import write_text
from springback.store.cite import bibtex
from springback.store.run import Run

LIMIT: Final = 1_500_000
"""Bytes that a page may have."""


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of the samples a page carries; what it leaves out it says."""

    prompts: int
    strips: int
    flips: int
    kinds: tuple[str, ...]
    """Record kinds that stand in the page's data."""
    json_links: bool = True


READINGS: Final = (
    "cell",
    "contrast",
    "test",
    "axis",
    "verdict",
    "scorer",
    "data",
    "accounting",
    "layer",
    "prefill",
    "position",
)
LEVELS: Final = (
    Detail(48, 4, 24, (*READINGS, "strip", "sample", "pair", "held_out", "document")),
    Detail(48, 4, 24, (*READINGS, "strip", "sample", "held_out"), json_links=False),
    Detail(24, 3, 24, (*READINGS, "strip", "held_out"), json_links=False),
    Detail(8, 2, 12, READINGS, json_links=False),
    Detail(3, 1, 4, ("cell", "axis", "verdict", "scorer", "data", "accounting", "test"), json_links=False),
)
"""From everything to the least that is still a page; the first that fits is taken."""


SECTIONS: Final = {
    "head": head, "falls": falls, "rebound": rebound, "undone": undone, "gains": gains, "depth": depth,
    "strips": strip, "flips": flips, "tests": tests, "used": used, "scorer": scorer,
}  # fmt: skip
"""What the template calls a section, and the module that finds its contents."""


def write_report(path: Path) -> tuple[Path, int]:
    """Write `report.html` into a run. Returns its path and its size in bytes. RefusedError where there is no run."""
    run = Run.look(path)
    try:
        records = {kind: run.read(kind) for kind in run.kinds()}
        text = page(records, {**run.meta, "state": run.state}, cited=bibtex(run))
    finally:
        run.close()
    out = path / "report.html"
    return out, write_text(out, text)


def page(records: Records, meta: Mapping[str, Any], *, cited: str = "") -> str:
    """The page of one run; never more than `LIMIT` bytes unless the smallest page is already larger."""
    evidence = Evidence(records, meta)
    texts = (render(evidence, detail, cited=cited) for detail in LEVELS)
    return next((text for text in texts if len(text.encode()) <= LIMIT), "") or render(
        evidence, LEVELS[-1], cited=cited
    )


def render(evidence: Evidence, detail: Detail, *, cited: str = "") -> str:
    """Fill the template with what each section found."""
    shown: dict[str, Any] = {name: section.view(evidence) for name, section in SECTIONS.items()}
    shown |= {
        "points": points.data(evidence),
        "advice": advice.met(evidence),
        "advice_table": advice.TABLE,
        "samples": samples.view(evidence, most=detail.prompts),
    }
    return document("page.html.j2", data=embed.whole(evidence, detail.kinds), detail=detail, bibtex=cited,
                    meta=evidence.meta, missing=embed.left_out(evidence, detail.kinds), **shown)  # fmt: skip


def document(template: str, *, data: Mapping[str, Any], **shown: Any) -> str:
    """A whole HTML document with its own style, script and policy."""
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

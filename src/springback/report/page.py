"""One run → one self-contained HTML page, from stored records alone: no torch, no network, always the same bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from springback.report import embed
from springback.report.document import LIMIT, document
from springback.report.evidence import Evidence, Records
from springback.report.pages.registry import PAGES
from springback.report.pages.sheet import written
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
from springback.report.written import write_text
from springback.store.cite import bibtex
from springback.store.run import Run


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
        meta, cited = {**run.meta, "state": run.state}, bibtex(run)
        make = PAGES.get(str(meta["command"]))
        text = page(records, meta, cited=cited) if make is None else written(make(records, meta), records, meta, cited)
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

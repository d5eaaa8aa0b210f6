"""Every number on a page comes from a record: pointed ones from the record they name, all others from some record."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from tests.report.example_run import Example
from tests.report.reading import Element, read

from springback.report.numbers import STYLES, bare, count, duration, memory, probability
from springback.report.page import page

RUN = Example(sizes=(64, 256), samples=4, pairs=6)
RECORDS, META = RUN.records(), RUN.meta()
PAGE = read(page(RECORDS, META))
NUMBER = re.compile(r"[−+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?")
OURS = {"95", "0", "0.5", "1", "1.5", "2", "3", "5", "8"}
"""Numbers of our own wording: the level, steps of the tint, bits of a byte, ranks."""


def leaves(thing: Any) -> Iterator[Any]:
    if isinstance(thing, Mapping):
        for value in thing.values():
            yield from leaves(value)
    elif isinstance(thing, list | tuple):
        for value in thing:
            yield from leaves(value)
    else:
        yield thing


def numbers_of(thing: Any) -> list[float]:
    return [x for x in leaves(thing) if isinstance(x, int | float) and not isinstance(x, bool)]


@cache
def printed(x: float) -> frozenset[str]:
    """Every way in which the page's number module writes this number."""
    both = (x, -x)
    shown = {bare(y, style, sign=sign) for y in both for style in STYLES.values() for sign in (True, False)}
    shown |= {count(x), repr(x), repr(-x), f"{x:.2f}", f"{x:g}", probability(abs(x)).lstrip("<\u00a0")}
    return frozenset(shown)


def body_of(record: str) -> Any:
    kind, _, key = record.partition(":")
    return META[key] if kind == "run.json" else RECORDS[kind][key]


def test_every_record_that_the_page_points_to_is_stored():
    pointed = [e.attributes["data-record"] for e in PAGE.walk() if e.attributes.get("data-record")]
    assert len(pointed) > 300
    for record in set(pointed):
        assert body_of(record) is not None


def test_every_pointed_number_is_the_records_own_and_is_printed_as_it_is_stored():
    shown = PAGE.all("data")
    assert len(shown) > 100
    for element in shown:
        stored = float(element.attributes["value"])
        own = numbers_of(body_of(element.attributes["data-record"]))
        assert any(stored in (x, -x) for x in own), element.attributes
        allowed = set().union(*(printed(x) for x in own))
        allowed |= {found for text in (duration(stored), memory(stored)) for found in NUMBER.findall(text)}
        assert set(NUMBER.findall(element.text().replace("10⁻³", ""))) <= allowed


def test_every_label_in_a_chart_is_its_records_own_number():
    labels = [e for e in PAGE.all("text") if e.attributes.get("data-record")]
    assert len(labels) > 40
    for label in labels:
        own = numbers_of(body_of(label.attributes["data-record"]))
        allowed = set().union(*(printed(x) for x in own))
        assert set(NUMBER.findall(label.text())) <= allowed, label.text()


def words(element: Element) -> Iterator[str]:
    """The visible text less what is ours: axis ticks, counts of rows in a summary, code of the page itself."""
    skipped = element.name in ("style", "script", "title", "summary", "pattern") or "tk" in element.classes()
    if skipped or element.attributes.get("data-record", "").startswith("run.json:cost"):
        return
    for child in element.children:
        if isinstance(child, str):
            yield child
        else:
            yield from words(child)


def test_every_other_number_in_the_text_is_found_in_some_record():
    everything = {"records": RECORDS, "meta": META}
    allowed = set(OURS).union(*(printed(x) for x in numbers_of(everything)))
    for text in (x for x in leaves(everything) if isinstance(x, str)):
        allowed |= set(NUMBER.findall(text))
    for kinds in RECORDS.values():
        for key in kinds:
            allowed |= set(NUMBER.findall(key))
    indices = {str(i + 1) for i in range(max(RUN.samples, RUN.pairs, RUN.tokens))}
    flips = {e for p in PAGE.all("p") if "flipped from wanted" in p.text() for e in NUMBER.findall(p.text())}
    fractions = {str(size // n) for size in RUN.sizes for n in RUN.reversals if size >= n}
    fractions |= {str(n // size) for size in RUN.sizes for n in RUN.reversals if n > size}
    known = allowed | indices | flips | fractions
    text = " ".join(words(PAGE)).replace("10⁻³", "").replace("0.1.0", "")
    assert not {found for found in NUMBER.findall(text) if found not in known}


def test_the_counts_of_flipped_pairs_are_the_records_counts():
    before, after = (
        {b["index"]: b["margin"] for b in RECORDS["pair"].values() if b["cell"] == cell}
        for cell in ("0/main/256/0", "0/main/256/128")
    )
    down = sum(before[i] > 0 > after[i] for i in before)
    assert down > 0
    text = next(p.text() for p in PAGE.all("p") if "flipped from wanted" in p.text())
    assert text.startswith(f"Of {len(before)} pairs, {down} flipped from wanted to opposite")


@pytest.mark.parametrize("kind", ["cell", "contrast", "test", "axis", "layer", "prefill", "position"])
def test_every_record_of_a_reading_stands_in_the_tables_behind_the_figures(kind):
    if kind in ("test", "axis"):
        there = {e.attributes.get("data-record") for e in PAGE.walk()}
    else:
        there = {row.children[-1].text() for t in PAGE.all("table", class_="raw") for row in t.all("tr")}
    wanted = {f"{kind}:{key}" for key in RECORDS[kind]}
    if kind == "contrast":
        drawn = (
            "fall",
            "undone",
            "fall_beyond_benign",
            "fall_beyond_start",
            "fall_beyond_continuation",
            "gain",
            "slope",
        )
        wanted = {f"contrast:{k}" for k, b in RECORDS[kind].items() if b["kind"] in drawn and b["reading"] != "kl"}
    assert wanted <= there

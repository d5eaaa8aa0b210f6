"""A page of whatever is there: any kind of record may be missing, and the page says that it is."""

import pytest
from tests.report.example_run import Example
from tests.report.reading import Element, read

from springback.report.page import page

RUN = Example(sizes=(64,), reversals=(8,), samples=2, pairs=2)
KINDS = sorted(RUN.records())
MISSING = {
    "sample": ("samples", "holds no samples"),
    "layer": ("depth", "Not measured"),
    "prefill": ("depth", "Not measured"),
    "position": ("depth", "Not measured"),
    "strip": ("depth", "No answer was stored token by token"),
    "test": ("tests", "No test has been made"),
    "contrast": ("falls", "not measured"),
    "cell": ("rebound", "not measured"),
}


def shown(run: Example) -> Element:
    return read(page(run.records(), run.meta()))


def section(document: Element, name: str) -> str:
    return document.all("section", id=name)[0].text()


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_without_one_kind_of_record_has_its_page(kind):
    document = shown(Example(sizes=(64,), reversals=(8,), samples=2, pairs=2, without=(kind,)))
    assert len(document.all("section")) == 6
    if kind in MISSING:
        name, words = MISSING[kind]
        assert words in section(document, name)


def test_a_run_that_has_not_begun_has_a_page_that_says_so():
    document = read(page({}, {**RUN.meta(), "state": "partial"}))
    assert "This run is partial." in document.all("div", class_="stamp")[0].text()
    assert document.all("h1")[0].text() == "No verdict: nothing was measured."
    for name in ("falls", "rebound", "depth", "samples", "tests", "used"):
        assert "not measured" in section(document, name)


def test_a_partial_run_says_how_far_it_came():
    records = RUN.records()
    some = {"cell": dict(list(records["cell"].items())[:3]), "sample": records["sample"], "data": records["data"]}
    document = read(page(some, {**RUN.meta(), "state": "partial"}))
    stamp = document.all("div", class_="stamp")[0].text()
    assert f"3 of {len(RUN.meta()['plan']['cells'])} cells are measured" in stamp
    assert "Run the same command again" in stamp
    assert document.all("h1")[0].text() == "No verdict yet: this run is not complete."


def test_a_model_that_came_aligned_and_was_not_reversed_is_a_page_without_a_rebound():
    """`springback audit MODEL --base BASE` without data: what can be read without training."""
    records = RUN.records()
    given = {**records["cell"]["0/main/64/0"], "id": "0/main/given/0", "align": {"examples": None, "tokens": None}}
    cells = {"0/main/0/0": records["cell"]["0/main/0/0"], "0/main/given/0": given}
    why = "the reversal needs wanted and opposite examples"
    axis = {"name": "rebound_behaviour", "value": {"estimate": None, "why": why}, "verdict": "not measured",
            "sentence": f"Not measured: {why}.", "placebos": [], "records": []}  # fmt: skip
    gain = {**records["contrast"]["margin/gain/main/64/0/0"], "N": "given", "name": "margin/gain/main/given/0/0"}
    found = {"cell": cells, "axis": {"rebound_behaviour": axis}, "contrast": {gain["name"]: gain}}
    document = read(page(found, {**RUN.meta(), "given": {"name": "my-aligned-model"}}))
    assert "my-aligned-model" in document.all("header")[0].text()
    assert why in document.all("ul", class_="axes")[0].text()
    assert "not measured" in section(document, "falls")
    panel = document.all("div", class_="r-kl")[0].all("svg", role="img")
    assert [svg.all("text", class_="ti")[0].text() for svg in panel] == ["Alignings" + "tart → N"] or len(panel) == 1
    assert "given" in panel[0].text()


def test_numbers_that_are_none_are_named_in_the_place_where_they_would_stand():
    records = RUN.records()
    cell = records["cell"]["0/main/64/8"]
    broken = {**cell, "kl_from_start": {"estimate": None, "why": "no answer has a token"}}
    document = read(page({**records, "cell": {**records["cell"], "0/main/64/8": broken}}, RUN.meta()))
    panel = document.all("div", class_="r-kl")[0].all("svg", role="img")[-1]
    assert panel.all("rect", class_="ht")
    assert "no answer has a token" in panel.attributes["aria-label"]


def test_readings_without_a_verdict_are_not_called_unmeasured():
    document = shown(Example(sizes=(64,), reversals=(8,), samples=2, pairs=2, without=("axis", "verdict", "test")))
    headings = [document.all("section", id=name)[0].all("h2")[0].text() for name in ("rebound", "depth")]
    assert headings == ["Rebound: no verdict yet", "Depth: no verdict yet"]

import re

import pytest
from tests.report.reading import read

from springback.experiments.theory import TheoryConfig, run_theory
from springback.report.numbers import short
from springback.report.page import write_report
from springback.store.run import Run


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    path = tmp_path_factory.mktemp("theory") / "run"
    run_theory(TheoryConfig(k=(10.0, 1000.0), l=(0.0, 0.2, 0.7), depth=5), path)
    with Run.look(path) as run:
        records = {kind: run.read(kind) for kind in run.kinds()}
    return read(write_report(path)[0].read_text(encoding="utf-8")), records


def leaves(thing):
    if isinstance(thing, dict):
        for found in thing.values():
            yield from leaves(found)
    elif isinstance(thing, int | float) and not isinstance(thing, bool):
        yield thing


def test_every_pointed_number_is_its_records_own(shown):
    page, records = shown
    pointed = page.all("data")
    assert len(pointed) > 200
    for element in pointed:
        kind, _, key = element.attributes["data-record"].partition(":")
        stored = float(element.attributes["value"])
        assert stored in set(leaves(records[kind][key]))
        assert element.text() in {short(stored, digits) for digits in (3, 4, 6)}


def test_every_record_a_mark_points_to_is_stored_and_every_row_is_in_the_table(shown):
    page, records = shown
    for element in page.walk():
        if record := element.attributes.get("data-record", ""):
            kind, _, key = record.partition(":")
            assert kind == "run.json" or key in records[kind]
    raw = {row.children[-1].text() for t in page.all("table", class_="raw") for row in t.all("tr")}
    assert {f"row:{key}" for key in records["row"]} <= raw


def test_the_answer_counts_the_rows_in_which_the_signs_hold(shown):
    page, records = shown
    held = [body["signs_hold"] for body in records["row"].values()]
    assert page.all("h1")[0].text() == f"The signs of theorem 4.2 hold in {sum(held)} of {len(held)} rows"


def test_constructions_whose_masses_do_not_matter_are_drawn_once_and_still_ones_not_at_all(shown):
    page, _ = shown
    names = [svg.attributes["aria-label"] for svg in page.all("svg", role="img")]
    assert len(names) == 2 * 3  # disjoint, full with Pareto masses, 0.7
    assert not [name for name in names if "uniform masses, full" in name]
    assert all(re.search(r"\d", name) for name in names)


def test_the_chart_against_l_shows_the_pretraining_side_in_leading_order(shown):
    page, records = shown
    (chart,) = [c for c in page.all("svg", role="img") if "side against l, uniform masses, disjoint" in
                c.attributes["aria-label"]]  # fmt: skip
    rows = [b for b in records["row"].values() if (b["masses"], b["overlap"]) == ("uniform", "disjoint")]
    for k in (10.0, 1000.0):
        values = "; ".join(f"{short(b['l'])}: {short(b['leading']['p'])}" for b in rows if b["k"] == k)
        assert f"k = {short(k)}: {values}" in chart.attributes["aria-label"]


def test_rows_that_are_all_zero_leave_a_page_with_words(tmp_path):
    path = tmp_path / "run"
    run_theory(TheoryConfig(k=(10.0,), l=(0.2,), depth=3, masses=("uniform",), overlap=("full",)), path)
    text = read(write_report(path)[0].read_text(encoding="utf-8")).text()
    assert "Every derivative is 0" in text

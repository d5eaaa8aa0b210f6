"""The page of a cycle: every number is its record's own, arms begin where they branch off."""

import pytest
from tests.report.reading import read

from springback.experiments.cycle.config import PRESETS, Cycle
from springback.experiments.cycle.run import run_cycle
from springback.report.page import write_report
from springback.report.pages.cycle import sheet
from springback.store.run import Run


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    path = tmp_path_factory.mktemp("cycle") / "run"
    small = {**PRESETS["tiny"], "tiny": True, "text_sizes": (4, 8), "samples": 4, "pairs": 8, "neutral": 6}
    run_cycle(Cycle(**{**small, "max_new_tokens": 6}), path, quiet=True)
    with Run.look(path) as run:
        records, meta = {kind: run.read(kind) for kind in run.kinds()}, run.meta
    return read(write_report(path)[0].read_text(encoding="utf-8")), records, meta


def leaves(thing):
    if isinstance(thing, dict):
        for found in thing.values():
            yield from leaves(found)
    elif isinstance(thing, list):
        for found in thing:
            yield from leaves(found)
    elif isinstance(thing, int | float) and not isinstance(thing, bool):
        yield thing


def test_every_pointed_number_is_its_records_own(shown):
    page, records, _ = shown
    pointed = page.all("data")
    assert len(pointed) > 20
    for element in pointed:
        kind, _, key = element.attributes["data-record"].partition(":")
        assert float(element.attributes["value"]) in set(leaves(records[kind][key]))


def test_every_record_a_mark_points_to_is_stored_and_every_point_is_in_the_table(shown):
    page, records, _ = shown
    for element in page.walk():
        if record := element.attributes.get("data-record", ""):
            kind, _, key = record.partition(":")
            assert kind == "run.json" or key in records[kind]
    raw = {row.children[-1].text() for t in page.all("table", class_="raw") for row in t.all("tr")}
    assert {f"cell:{key}" for key in records["cell"]} <= raw


def test_a_placebo_is_drawn_from_the_point_that_it_branches_off(shown):
    page, _, _ = shown
    for picture in page.all("svg", role="img")[:2]:
        marks = [e.attributes["data-record"] for e in picture.walk() if "data-record" in e.attributes]
        assert marks.count("cell:0/main/text/8") >= 2
        assert marks.count("cell:0/main/align/16") >= 2
        assert {"cell:0/main/start/0", "cell:0/unaligned/realign/8", "cell:0/benign/benign/8"} <= set(marks)


def test_head_and_questions_say_what_was_answered(shown):
    page, records, _ = shown
    answers = [body["answer"] for body in records["question"].values()]
    assert page.all("h1")[0].text() == records["verdict"]["verdict"]["sentence"].partition(":")[0] + "."
    text = page.text()
    assert f"8 questions: {answers.count('yes')} yes, {answers.count('no')} no" in text
    for body in records["question"].values():
        assert body["question"] in text


def test_a_run_that_has_not_begun_has_a_page(shown):
    assert sheet({}, shown[2]).answer == "Not finished."

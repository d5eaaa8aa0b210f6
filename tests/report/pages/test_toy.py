import pytest
from tests.experiments.toy.small import CountMixture, findings, small
from tests.report.reading import read

from springback.report.page import write_report
from springback.store.run import Run


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    path, config = tmp_path_factory.mktemp("toy") / "run", small()
    asked = {"length": 6, "width": 16, "seeds": [0, 1, 2], "tolerance": 0.01, "pretrain": [640], "mix": [0.0],
             "align_sizes": [64, 256], "reverse_sizes": [32, 64, 128]}  # fmt: skip
    findings(config, CountMixture(config), path, asked=asked)
    with Run.look(path) as run:
        records = {kind: run.read(kind) for kind in run.kinds()}
    return read(write_report(path)[0].read_text(encoding="utf-8")), records


def leaves(thing):
    parts = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else ()
    yield from (number for part in parts for number in leaves(part))
    if isinstance(thing, int | float) and not isinstance(thing, bool):
        yield float(thing)


def test_every_number_is_its_records_own(shown):
    page, records = shown
    pointed = page.all("data")
    assert len(pointed) > 30
    for element in pointed:
        kind, _, key = element.attributes["data-record"].partition(":")
        assert float(element.attributes["value"]) in set(leaves(records[kind][key]))


def test_every_prediction_has_a_row_with_its_outcome(shown):
    page, records = shown
    text = page.text()
    for body in records["prediction"].values():
        assert body["statement"] in text
    said = [e.text() for e in page.all("span") if e.attributes.get("data-record", "").startswith("prediction:")]
    expected = {"yes": "survives", "no": "does not", "undecided": "undecided"}
    assert said == [expected[body["survives"]] for body in records["prediction"].values()]


def test_the_marks_are_those_of_the_stored_points(shown):
    page, records = shown
    marks = {e.attributes.get("data-record", "") for e in page.walk()} & {f"point:{key}" for key in records["point"]}
    assert len(marks) == len(records["point"]) - 4  # all but the smaller placebo

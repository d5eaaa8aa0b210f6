"""The page of records that the audit's own analysis made, from a stand-in whose law is known."""

import pytest
from tests.experiments.audit.stand_in import Spring
from tests.report.example_run import Example
from tests.report.reading import read

from springback.experiments.audit.analyse import analyse
from springback.report.page import page


def records_of(spring: Spring) -> dict:
    """Cells, texts and samples as an example has them, findings as the audit finds them."""
    run = Example(sizes=tuple(s for s in spring.aligned if s), reversals=spring.reversed, seeds=spring.seeds, samples=1)
    kinds = run.records() | {"contrast": {}, "test": {}, "axis": {}, "verdict": {}}
    for kind, key, body in analyse(spring.readings()):
        kinds[kind][key] = body
    return kinds, run.meta()


@pytest.mark.parametrize(
    ("spring", "label", "heading"),
    [
        (Spring(), "springs_back", "falls further than an equally tuned, unaligned one, after"),
        (Spring(back={8: 0.0, 32: 0.05, 64: 0.1}, benign_fall=0.002), "holds", "an aligned model falls"),
        (Spring(gain=0.0), "not_aligned", "cannot tell whether an aligned model falls further"),
    ],
)
def test_label_heading_and_tests_of_a_spring_stand_on_its_page(spring, label, heading):
    kinds, meta = records_of(spring)
    document = read(page(kinds, meta))
    verdict = kinds["verdict"]["verdict"]
    assert verdict["label"] == label
    assert document.all("p", class_="label")[0].text().split()[0] == label
    assert document.all("h1")[0].text() == verdict["headline"]
    assert heading.lower() in document.all("section", id="falls")[0].all("h2")[0].text().lower()
    tests = document.all("table", class_="tst")[0]
    assert len([r for r in tests.all("tr") if "data-record" in r.attributes]) == len(kinds["test"])
    for body in kinds["test"].values():
        assert body["claim"] in tests.text()


def test_every_condition_that_would_change_the_verdict_is_shown_with_its_command():
    kinds, meta = records_of(Spring())
    (box,) = read(page(kinds, meta)).all("div", class_="change")
    for condition in kinds["verdict"]["verdict"]["conditions"]:
        assert condition["text"] in box.text()
        assert (condition["command"] or "") in box.text()

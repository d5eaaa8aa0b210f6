"""The page of a reward run: every number is a stored one, at the record it points to."""

import re

import pytest
from tests.experiments.reward.test_measures import drawn

from springback.experiments.reward.measures import brief, measures
from springback.report.page import write_report
from springback.store.run import Run


def made(path, rows):
    with Run.open(path, command="reward", asked={"loss": "bradley_terry"}, identity={}) as run:
        for step in (0, 5, 10):
            run.append(
                "reading", str(step), {"step": step, "held_out": brief(rows[:20]), "training": brief(rows[20:40])}
            )
        for step in range(10):
            run.append("step", str(step), {"step": step, "loss": 0.7 - step / 50, "gradient_norm": 1.0})
        run.append("held_out", "held_out", measures(rows))
        ledger = {"stage": "read", "unit": "rows", "read": 62, "kept": 60, "dropped": [{"why": "a tie", "n": 2}]}
        checks = [{"name": "every tensor moved", "outcome": "pass", "why": "all moved"}]
        run.append("accounting", "accounting", {"ledgers": [ledger], "notes": ["a note <b>"], "checks": checks})
        run.finish("complete")
    return write_report(path)[0].read_text("utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "run"
    return path, made(path, drawn(60, truth=0.8))


def test_every_number_of_the_page_stands_in_the_record_that_it_names(page):
    path, text = page
    found = re.findall(r'<data class="num" value="([^"]+)" data-record="(\w+):([^"]+)"', text)
    assert len(found) > 15
    with Run.look(path) as run:
        for number, kind, key in found:
            assert float(number) in set(numbers(run.get(kind, key))), (kind, key)


def test_it_answers_in_one_sentence_and_tells_the_ledger(page):
    assert re.search(r"prefers the better one \d+ times in 100", page[1])
    assert "2 a tie" in page[1]
    assert "a note &lt;b&gt;" in page[1]


def test_a_score_that_cannot_be_told_from_chance_is_not_called_right(tmp_path):
    assert "cannot be told from chance" in made(tmp_path / "run", drawn(60, truth=0.0))


def test_held_out_ties_alone_make_a_page_too(tmp_path):
    ties = [{**row, "relevance": [1, 1]} for row in drawn(60)]
    assert "orders no two answers" in made(tmp_path / "run", ties)


def numbers(body):
    if isinstance(body, dict):
        for value in body.values():
            yield from numbers(value)
    elif isinstance(body, list):
        for value in body:
            yield from numbers(value)
    elif isinstance(body, int | float):
        yield float(body)

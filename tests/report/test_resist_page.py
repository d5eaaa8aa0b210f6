"""The page of a resist run: every number is a stored one, at the record it points to."""

import re

import pytest
from tests.experiments.resist.line import Line

from springback.experiments.audit.progress import Progress
from springback.experiments.resist.config import Resist, settled
from springback.experiments.resist.finish import finish
from springback.experiments.resist.walk import walk
from springback.report.page import write_report
from springback.store.run import Run

DESIGN = settled(Resist(tiny=True, steps=4, slice_size=16, samples=16, batch=4, seeds=(0, 1)))


@pytest.fixture
def page(tmp_path):
    with Run.open(tmp_path / "run", command="resist", asked={}, identity={}) as run:
        for _ in walk(DESIGN, run, Line(forward=0.1, inverse=0.4, noise=0.02), Progress({}, {}, say=None)):
            pass
        finish(DESIGN, run)
        run.finish("complete")
    return tmp_path / "run", write_report(tmp_path / "run")[0].read_text("utf-8")


def test_every_number_of_the_page_stands_in_the_record_that_it_names(page):
    path, text = page
    found = re.findall(r'<data class="num" value="([^"]+)" data-record="(\w+):([^"]+)"', text)
    assert len(found) > 30
    with Run.look(path) as run:
        for number, kind, key in found:
            assert float(number) in set(numbers(run.get(kind, key))), (kind, key)


def test_it_answers_in_one_sentence_and_draws_the_pairs_of_the_first_seed(page):
    text = page[1]
    assert "Going back is easier than going on" in text
    assert text.count("Forward is model") == len(DESIGN.pairs)
    assert "not held out" in text


def numbers(body):
    if isinstance(body, dict):
        for value in body.values():
            yield from numbers(value)
    elif isinstance(body, list):
        for value in body:
            yield from numbers(value)
    elif isinstance(body, int | float):
        yield float(body)

"""The page of a preference training: every number is a stored one, and the warning stands where it was given."""

import re

import pytest
from tests.experiments.prefer.stand_in import StandIn, number, reading

from springback.experiments.audit.progress import Progress
from springback.experiments.prefer.config import Prefer, settled
from springback.experiments.prefer.walk import walk
from springback.experiments.prefer.words import verdict
from springback.report.page import write_report
from springback.store.run import Run

LEDGER = {"stage": "read", "unit": "rows", "read": 12, "kept": 10, "rule": None,
          "dropped": [{"why": "an answer is <empty>", "n": 2, "first": ["a.jsonl:3"]}]}  # fmt: skip
DATA = {"name": "a.jsonl", "shape": "transcripts", "rows": 10, "passed_over": ["id"], "notes": []}


def stored(path, laboratory):
    design = settled(Prefer(tiny=True, read_every=2))
    with Run.open(path, command="prefer", asked={}, identity={}) as run:
        for _ in walk(design, run, laboratory, Progress({}, {}, say=None)):
            pass
        run.append("ledger", "0", LEDGER)
        run.append("data", "train", DATA)
        run.append("verdict", "verdict", verdict(run.get("reading", "held_out/10")))
        run.finish("complete")
    return path, write_report(path)[0].read_text("utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return stored(tmp_path_factory.mktemp("prefer") / "run", StandIn())


def test_every_number_of_the_page_stands_in_the_record_that_it_names(page):
    path, text = page
    found = re.findall(r'<data class="num" value="([^"]+)" data-record="(\w+):([^"]+)"', text)
    assert len(found) > 12
    with Run.look(path) as run:
        for value, kind, key in found:
            assert float(value) in set(numbers(run.get(kind, key))), (kind, key)


def test_it_says_in_a_sentence_what_both_did_and_warns_where_the_chosen_fell(page):
    text = page[1]
    assert "Held-out chosen answers fell by 5.000 nat, rejected ones fell by 15.000 nat; the margin grew" in text
    assert "less likely than under the reference from step 2 on" in text
    assert "chosen below reference" in text


def test_where_nothing_fell_it_says_so(tmp_path):
    text = stored(tmp_path / "run", StandIn(starts_to_fall=100))[1]
    assert "No reading found held-out chosen answers below the reference." in text
    assert "chosen below reference" not in text


def test_the_ledger_adds_up_and_texts_are_escaped(page):
    text = page[1]
    assert "an answer is &lt;empty&gt;" in text
    assert "Columns not looked at: id." in text


def test_labelled_answers_have_a_page_without_margins(tmp_path):
    class Labelled(StandIn):
        def read(self, step):
            for kind, key, body in super().read(step):
                nothing = {"estimate": None, "why": "labelled answers are in no pairs"}
                yield kind, key, {**body, **dict.fromkeys(("margin", "accuracy", "reward_accuracy"), nothing)}

    text = stored(tmp_path / "run", Labelled())[1]
    assert "Reward accuracy, held-out" not in text
    assert "KL from the reference, held-out" in text


def test_the_stand_in_s_numbers_are_measured_ones():
    assert reading("train", 1, 0.0)["margin"] == number(1.0, "pairs")


def numbers(body):
    if isinstance(body, dict):
        for value in body.values():
            yield from numbers(value)
    elif isinstance(body, list):
        for value in body:
            yield from numbers(value)
    elif isinstance(body, int | float):
        yield float(body)

"""The page of a study: every number is a stored one, and a claim that failed stands there like one that held."""

import re

import pytest
from tests.experiments.study.planted import diagnosis, points, prediction, predictions

from springback.experiments.study.analyse import records
from springback.experiments.study.config import Study
from springback.report.page import write_report
from springback.store.run import Run

ROWS = [
    ("one_token", "dpo", "none", 1.0, -1.0), ("one_token", "dpo", "anchor", 1.0, -0.2),
    ("one_token", "simpo", "none", 0.5, 0.0), ("long_suffix", "dpo", "none", 1.0, -3.0),
]  # fmt: skip
LEDGER = {"stage": "made", "unit": "pairs", "read": 40, "kept": 32, "rule": None,
          "dropped": [{"why": "broken", "n": 8, "first": []}]}  # fmt: skip
SET = {"source": "made", "train": 24, "held_out": 24, "sha256": "0", "ledgers": [LEDGER],
       "suffix_tokens": {"least": 1, "mean": 1.5, "most": 2}}  # fmt: skip
PLAN = {"trainings": [*ROWS], "grid": "some", "intervals": "over pairs", "tests": "sign flips"}


def stored(path, made):
    config = Study(tiny=True, data=("one_token", "long_suffix"), cures=("none", "anchor"), seeds=(0,))
    said = predictions(prediction("one_token", "dpo"), prediction("long_suffix", "dpo", falls=0.9))
    with Run.open(path, command="study", asked={}, identity={}) as run:
        run.note(plan=PLAN, model={"name": "planted"})
        for name in ("one_token", "long_suffix"):
            run.append("set", name, {**SET, "name": name})
            run.append("diagnosis", name, diagnosis(name, 0.5))
        for kind, bodies in (("predicted", said), ("point", made)):
            for key, body in bodies.items():
                run.append(kind, key, body)
        if made:
            for kind, key, body in records(run.read, config):
                run.append(kind, key, body)
        run.finish("complete")
    return path, write_report(path)[0].read_text("utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return stored(tmp_path_factory.mktemp("study") / "run", points(*ROWS))


def test_every_number_of_the_page_stands_in_the_record_that_it_names(page):
    path, text = page
    found = re.findall(r'<data class="num" value="([^"]+)" data-record="(\w+):([^"]+)"', text)
    assert len(found) > 30
    with Run.look(path) as run:
        for value, kind, key in found:
            body = run.get(kind, key)
            assert float(value) in set(numbers(body)) | {8.0}, (kind, key)


def test_a_claim_that_failed_stands_with_its_rule_like_one_that_held(page):
    text = page[1]
    assert "Fails: of 2 tests 1 for it, 1 against it, 0 undecided." in text
    assert "fall where a long suffix is shared" in text
    assert "Holds: of 1 tests 1 for it" in text  # the anchor
    assert "Not tested: this study has no such rows." in text


def test_there_is_a_point_for_every_method_of_a_data_set(page):
    text = page[1]
    assert text.count('data-record="row:one_token/dpo/anchor"') > 3
    assert_level(text)
    spoken = re.findall(r'aria-label="(Chosen change against margin[^"]*)"', text)
    assert len(spoken) == 2
    assert all(name in spoken[0] for name in ("dpo:", "dpo + anchor:", "simpo:"))


def test_a_study_that_is_not_finished_says_so(tmp_path):
    text = stored(tmp_path / "run", {})[1]
    assert "Not finished: the same command goes on with the trainings." in text


def assert_level(text):
    """The line of no change crosses the first picture at the height of the tick 0."""
    picture = text[text.index('aria-label="Chosen change against margin') :]
    tick = float(re.search(r'y="([\d.]+)"[^>]*class="tk yt"[^>]*>0(?:\.0)?<', picture)[1])
    heights = [(float(a), float(b)) for a, b in re.findall(r'y1="([\d.]+)"[^>]*y2="([\d.]+)"[^>]*class="st"', picture)]
    assert any(a == b and abs(a - (tick - 4)) < 1 for a, b in heights)


def numbers(body):
    if isinstance(body, dict):
        return [x for value in body.values() for x in numbers(value)]
    if isinstance(body, list):
        return [x for value in body for x in numbers(value)]
    return [float(body)] if isinstance(body, int | float) and not isinstance(body, bool) else []

"""Whole studies on the tiny model: every combination trained once, resumed as uninterrupted, refused before work."""

import json

import pytest
from tests.experiments.prefer.small import records, rows, write
from tests.experiments.study.small import SMALL

from springback.errors import RefusedError
from springback.experiments.study import outcome
from springback.experiments.study import run as study_run
from springback.experiments.study.run import NOTHING, run_study
from springback.store.run import Run


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "run"
    return path, run_study(SMALL(), path, quiet=True)


def test_every_combination_is_a_preference_training_in_a_directory_of_its_own(ran):
    path, done = ran
    assert done.work_done["trainings"] == 2
    assert done.work_done["optimizer_steps"] == 4
    for one in SMALL().combinations():
        with Run.look(path / "runs" / one.name) as inner:
            assert (inner.state, inner.asked["loss"], inner.asked["cure"]) == ("complete", one.loss, one.cure)
        assert not (path / "runs" / one.name / "model").exists()


def test_points_hold_the_changes_that_the_trainings_measured(ran):
    path, done = ran
    name, body = next(iter(done.run.read("point").items()))
    with Run.look(path / "runs" / name) as inner:
        reading = inner.get("reading", "held_out/2")
    assert sum(body["held_out"]["chosen"]) / 4 == pytest.approx(reading["chosen"]["change"]["estimate"])
    row = done.run.get("row", "one_token/dpo/none")
    assert row["margin"]["estimate"] == pytest.approx(reading["margin"]["estimate"])
    assert len(set(body["first_batch"])) == 2


def test_what_was_diagnosed_are_the_training_pairs_and_the_first_step_is_read_after_it(ran):
    path, done = ran
    name, body = next(iter(done.run.read("point").items()))
    with Run.look(path / "runs" / name) as inner:
        start, first, end = (inner.get("reading", f"train/{step}")["values"] for step in (0, 1, 2))
    columns = done.run.get("diagnosis", "one_token")["columns"]
    for side in ("chosen", "rejected"):
        assert columns[side] == pytest.approx(start[side], abs=1e-4)
        assert body["first"][side] == pytest.approx([b - a for a, b in zip(start[side], first[side], strict=True)])
        assert body["train"][side] == pytest.approx([b - a for a, b in zip(start[side], end[side], strict=True)])


def test_the_prediction_is_stored_before_the_first_training(ran):
    kinds = ran[1].run.kinds()
    assert (kinds["diagnosis"], kinds["predicted"], kinds["point"], kinds["row"]) == (1, 2, 2, 2)
    order = [kind for kind in kinds if kind in ("set", "diagnosis", "predicted", "point", "claim", "verdict")]
    assert order.index("predicted") < order.index("point")
    assert set(ran[1].run.meta["plan"]["rules"]) == set(ran[1].run.read("claim"))


def test_a_second_call_does_no_work(ran):
    again = run_study(SMALL(), ran[0], quiet=True)
    assert dict(again.work_done) == NOTHING


@pytest.mark.parametrize(("where", "left"), [("run_prefer", 1), ("point", 0)])
def test_a_study_that_died_between_two_trainings_goes_on_to_the_same_records(ran, tmp_path, monkeypatch, where, left):
    """Before the second training, or when it was complete and its point was not stored yet."""
    real, calls = getattr(study_run, where), []

    def dying(*given, **options):
        calls.append(given)
        if len(calls) == 2:
            raise Killed
        return real(*given, **options)

    path = tmp_path / "run"
    monkeypatch.setattr(study_run, where, dying)
    with pytest.raises(Killed):
        run_study(SMALL(), path, quiet=True)
    went_on = run_study(SMALL(), path, quiet=True)
    assert went_on.work_done["trainings"] == left
    assert records(went_on.run) == records(ran[1].run)


def test_a_study_on_a_file_trains_on_its_first_rows_and_measures_its_last_ones(tmp_path):
    data = write(tmp_path / "pairs.jsonl", rows(20))
    done = run_study(SMALL(data=(str(data),), cures=("none",), keep_models=True), tmp_path / "run", quiet=True)
    (one,) = SMALL(data=(str(data),), cures=("none",)).combinations()
    assert (tmp_path / "run" / "runs" / one.name / "model" / "config.json").exists()
    train, held_out = sorted((tmp_path / "run" / "data").iterdir(), reverse=True)
    said = [[json.loads(line)["chosen"] for line in file.read_text().splitlines()] for file in (train, held_out)]
    assert said == [[f"Yes, {i} it is." for i in part] for part in (range(4), range(16, 20))]
    assert outcome.result(done.run, done.work_done, None)["sets"][0]["train"] == 4


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"losses": ("kto",)}, "labels"), ({"losses": ("nosuch",)}, "nosuch"),
        ({"cures": ("none", "nosuch")}, "nosuch"), ({"losses": ("wpo",)}, "sums and lengths"),
        ({"data": ("nosuch.jsonl",)}, "nosuch.jsonl"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_is_written(options, word, tmp_path):
    with pytest.raises(RefusedError, match=word):
        run_study(SMALL(**options), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_person_reads_claims_and_a_row_for_every_method(ran):
    text = "\n".join(outcome.lines(ran[1].run, None))
    assert "Claims: " in text
    assert "overlap: Not tested" in text
    assert text.count("one_token") >= 3
    assert any("differ in exactly one token" in doubt for doubt in outcome.doubts(ran[1].run))

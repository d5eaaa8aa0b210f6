"""Self-play: the rejected answers are the round's own, the reference is its start, a killed run ends the same."""

import json

import pytest
from tests.experiments.prefer.small import SMALL, records, write

from springback.cli.main import app
from springback.data.choices import Choice
from springback.data.preferences import read_preferences
from springback.errors import RefusedError
from springback.experiments.prefer import own_answers, played
from springback.experiments.prefer.config import Prefer, settled
from springback.experiments.prefer.laboratory import ModelLaboratory
from springback.experiments.prefer.self_play import run_self_play
from springback.report.page import write_report
from springback.store.run import Run

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
GOLD = [{"prompt": f"Say {word}", "chosen": "aaaa", "rejected": "never read"} for word in WORDS]
MORE = {"epochs": 4, "probes": 0, "max_new_tokens": 6, "read_every": 100, "checkpoint_every": 2}


def play(data, out, rounds=2, **options):
    return run_self_play(settled(Prefer(**{**SMALL, **MORE, "self_play": rounds, **options}), data), out, quiet=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "gold.jsonl", GOLD)


@pytest.fixture(scope="module")
def ran(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("self_play") / "run"
    return path, play(data, path)


def texts(path, side, number):
    rows = [json.loads(line) for line in (path / f"files/{side}-{number}.jsonl").read_text("utf-8").splitlines()]
    assert all(row["chosen"] == "aaaa" for row in rows)
    return [row["rejected"] for row in rows]


def reading(path, number, step=None):
    bodies = [body for body in Run.look(path / f"round-{number}").read("reading").values() if body["set"] == "held_out"]
    return bodies[-1 if step is None else step]


def test_the_rejected_answers_are_the_models_own_and_of_its_own_round(ran):
    path = ran[0]
    first, second = (texts(path, "training", number) for number in (1, 2))
    assert "never read" not in first
    assert first != second
    share = [sum(text.count("a") for text in found) / sum(map(len, found)) for found in (first, second)]
    assert share[1] > share[0] + 0.05, share


def test_the_files_answers_become_likelier_with_every_round(ran):
    """Held-out prompts: from the start on, and in the second round from where the first one ended."""
    found = [reading(ran[0], number, step)["chosen"]["logprob"]["estimate"] for number in (1, 2) for step in (0, -1)]
    assert found[0] < found[1] == pytest.approx(found[2], abs=1e-3)
    assert found[2] < found[3]


def test_each_round_compares_with_its_own_start(ran):
    for number in (1, 2):
        start = reading(ran[0], number, 0)
        assert start["chosen"]["change"]["estimate"] == start["margin"]["estimate"] == 0.0
    asked = Run.look(ran[0] / "round-2").meta["asked"]
    assert asked["model"] == str(ran[0] / "round-1/model")


def test_the_answer_is_the_last_rounds_and_lists_them_all(ran):
    run = ran[1].run
    found = played.result(run, {}, None)
    assert found["model"] == str(ran[0] / "round-2/model")
    assert [one["round"] for one in found["rounds"]] == [1, 2]
    assert found["rounds"][0]["training"]["prompts"] == 8
    assert found["held_out"]["step"] == found["accounting"]["steps"]["planned"]
    assert len(played.lines(run, None)) == 4
    assert "2 rounds of self-play" in write_report(ran[0])[0].read_text("utf-8")


def test_a_killed_run_goes_on_to_the_same_answers_and_records(ran, data, tmp_path, monkeypatch):
    """Dies in the second round, between two checkpoints."""
    path, train, calls = tmp_path / "run", ModelLaboratory.train, []

    def dying(self, step):
        calls.append(step)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return train(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(ModelLaboratory, "train", dying)
        with pytest.raises(KeyboardInterrupt):
            play(data, path)
    assert calls[-1] > 1
    play(data, path)
    for number in (1, 2):
        assert texts(path, "training", number) == texts(ran[0], "training", number)
        runs = [Run.look(each / f"round-{number}") for each in (path, ran[0])]
        different = ("data", "ledger", "accounting")  # they name the files
        assert records(runs[0], without=different) == records(runs[1], without=different)
    assert records(Run.look(path)) == records(ran[1].run)


def test_asked_again_it_does_nothing(ran, data):
    assert set(play(data, ran[0]).work_done.values()) == {0}


def test_where_every_answer_is_the_files_own_the_rounds_end(data, tmp_path, monkeypatch):
    """π = data is where self-play stands still: there is no pair left."""

    def golden(rows, rolled, texts):
        del texts
        return made(rows, rolled, [row.chosen for row in rows])

    made = own_answers._made
    monkeypatch.setattr(own_answers, "_made", golden)
    done = play(data, tmp_path / "run")
    (one,) = played.result(done.run, {}, None)["rounds"]
    assert one["training"]["same"] == one["training"]["prompts"] == 8
    assert "nothing is left to learn" in one["over"]
    assert not (tmp_path / "run/round-1").exists()


def test_answers_without_a_text_and_those_that_were_cut_off_are_counted(data):
    rows = [row for row in read_preferences(data).rows if isinstance(row, Choice)][:4]
    rolled = [own_answers.Rolled((1, 2), ended, (0.0, 0.0), (0.0, 0.0)) for ended in (True, False, False, True)]
    own = own_answers._made(rows, rolled, ["b", " ", "c\0", "AAAA"])
    assert (len(own.pairs), own.same, own.unusable, own.cut_off) == (1, 1, 2, 2)
    assert (own.pairs[0].chosen, own.pairs[0].rejected) == ("aaaa", "b")


@pytest.mark.parametrize(
    ("rounds", "options", "words"),
    [(-1, {}, "at least 0"), (2, {"loss": "kto"}, "takes no pairs"), (2, {"reference": "x"}, "own start")],
)
def test_what_has_no_use_in_self_play_is_refused(data, tmp_path, rounds, options, words, monkeypatch):
    monkeypatch.setattr("springback.experiments.prefer.sources.describe", lambda _: None)
    with pytest.raises(RefusedError, match=words):
        play(data, tmp_path / "run", rounds, **options)
    assert not (tmp_path / "run").exists()


def test_the_command_line_knows_it_and_refuses_a_plan_of_it(ran, data, capfd):
    words = ["prefer", str(data), "--tiny", "--self-play", "2", "--json"]
    assert app([*words, "--plan"]) == 2
    assert json.loads(capfd.readouterr().out)["error"]["where"] == "--self-play"
    options = [word for name, value in {**SMALL, **MORE}.items() if name != "tiny"
               for word in (f"--{name.replace('_', '-')}", str(value))]  # fmt: skip
    assert app([*words, *options, "--out", str(ran[0])]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["result"]["work_done"]["optimizer_steps"] == 0
    assert found["result"]["model"] == str(ran[0] / "round-2/model")

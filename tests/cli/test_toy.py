"""`springback toy` through the command line."""

import json
import subprocess
import sys

import pytest

SMALL = ["toy", "--length", "5", "--pretrain", "320", "--align-sizes", "64,128", "--reverse-sizes", "32,64",
         "--width", "8", "--batch", "32"]  # fmt: skip


def call(*words):
    return subprocess.run([sys.executable, "-m", "springback", *map(str, words)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "run"
    done = call(*SMALL, "--out", path, "--json")
    assert done.returncode == 0, done.stderr
    return path, json.loads(done.stdout)


def test_the_result_has_the_keys_of_the_contract(answered):
    path, said = answered
    found = said["result"]
    assert (said["command"], said["status"], said["run"]) == ("toy", "done", str(path))
    assert {"predictions", "grid", "stiffness", "closest_return", "overshoot", "verdict"} <= found.keys()
    assert {"R", "k"} <= found["stiffness"].keys()
    assert {"kl", "examples", "tokens", "steps", "reached"} <= found["closest_return"].keys()
    for body in found["predictions"]:
        assert {"name", "statistic", "interval", "survives"} <= body.keys()
        assert body["survives"] in ("yes", "no", "undecided")
    assert {"label", "sentence", "tests"} <= found["verdict"].keys()
    arms = {(row["arm"], row["align"]["examples"], row["reverse"]["examples"]) for row in found["grid"]}
    assert ("main", 128, 64) in arms
    assert ("placebo", 64, 32) in arms
    assert ("from_base", 0, 64) in arms


def test_the_tests_are_stated_in_run_json(answered):
    stated = json.loads((answered[0] / "run.json").read_text())["plan"]["tests"]
    assert stated["pretraining_recovers"] == ["Δγ_p, N_a = 128, n = 0 to 64: below 0"]


def test_a_second_call_answers_with_no_work(answered):
    path, first = answered
    again = json.loads(call(*SMALL, "--out", path, "--json").stdout)["result"]
    assert set(again["work_done"].values()) == {0}
    assert {**again, "work_done": None} == {**first["result"], "work_done": None}


def test_the_page_has_its_predictions_and_points_to_their_records(answered):
    text = (answered[0] / "report.html").read_text("utf-8")
    assert "<svg" in text
    assert 'data-record="prediction:pretraining_recovers"' in text
    assert text == (answered[0] / "report.html").read_text("utf-8")


def test_people_get_the_verdict_and_a_line_a_prediction(answered):
    lines = call(*SMALL, "--out", answered[0], "--quiet").stdout.splitlines()
    assert lines[0].startswith(answered[1]["result"]["verdict"]["label"])
    assert len(lines) == 1 + 14 + 2 + 1


def test_one_seed_is_answered_with_a_warning(tmp_path):
    said = json.loads(call(*SMALL, "--seeds", "4", "--out", tmp_path / "run", "--json").stdout)
    assert any("fewer than 3 seeds" in warning for warning in said["warnings"])
    assert {body["survives"] for body in said["result"]["predictions"]} == {"undecided"}


@pytest.mark.parametrize(("option", "value"), [("--length", "2"), ("--reverse-sizes", "33"), ("--overlap", "some")])
def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path, option, value):
    done = call("toy", option, value, "--out", tmp_path / "run", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["where"] == option
    assert not (tmp_path / "run").exists()


def test_help_imports_no_torch():
    code = "import sys; from springback.cli.main import app; app(['toy', '--help']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip().endswith("False")


def test_thorough_fills_in_what_is_left_open_and_tests_everything(tmp_path):
    sizes = ["160,320" if word == "320" else word for word in SMALL]
    words = [*sizes, "--thorough", "--out", tmp_path / "run", "--json"]
    found = json.loads(call(*words).stdout)["result"]
    asked = json.loads((tmp_path / "run" / "run.json").read_text())["asked"]
    assert (asked["pretrain"], asked["mix"], asked["seeds"]) == ([160, 320], [0.0, 0.1, 0.5], [0, 1, 2, 3, 4])
    assert not [body["name"] for body in found["predictions"] if body["why"] and "itself" not in body["why"]]

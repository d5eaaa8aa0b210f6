"""`springback study entanglement` through the command line."""

import json
import subprocess
import sys

import pytest

SMALL = ["--tiny", "--data", "one_token", "--losses", "dpo,simpo:beta=2,gamma=1", "--cures", "none", "--seeds", "0",
         "--pairs", "4", "--held-out", "4", "--steps", "2", "--batch", "2"]  # fmt: skip


def call(*words):
    done = subprocess.run(
        [sys.executable, "-m", "springback", "study", *words, "--json"], capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "run"
    return path, *call("entanglement", *SMALL, "--out", str(path))


def test_a_study_answers_with_a_row_for_every_method_and_claims_with_their_rules(answered):
    path, code, said = answered
    assert (code, said["status"], said["run"]) == (0, "done", str(path))
    result = said["result"]
    assert [(row["loss"], row["cure"]) for row in result["table"]] == [
        ("dpo", "none"), ("simpo:beta=2,gamma=1", "none")
    ]  # fmt: skip
    assert {row["came_true"] for row in result["table"]} <= {"yes", "no", "undecided", "not predicted"}
    assert all(claim["rule"] and claim["sentence"] for claim in result["claims"])
    assert result["accounting"]["trainings"] == {"planned": 2, "done": 2}
    for number in numbers(result["table"]):
        assert number.get("why") or {"low", "high", "level", "n", "over", "unit"} <= number.keys()


def test_asked_again_it_answers_from_its_records(answered):
    path, _, first = answered
    code, again = call("entanglement", *SMALL, "--out", str(path))
    assert code == 0
    assert set(again["result"]["work_done"].values()) == {0}
    assert again["result"]["table"] == first["result"]["table"]


def test_its_page_stands_beside_the_records(answered):
    page = (answered[0] / "report.html").read_text("utf-8")
    assert "What was claimed" in page
    assert "figures mean nothing" in page


@pytest.mark.parametrize(
    ("words", "where"),
    [(["entanglement", "--tiny", "--cures", "normalised"], "--cures"),
     (["entanglement", "--tiny", "--data", "nosuch"], "--data"), (["other"], "STUDY")],
)  # fmt: skip
def test_what_cannot_hold_is_refused(words, where, tmp_path):
    code, said = call(*words, "--out", str(tmp_path / "run"))
    assert (code, said["status"]) == (2, "refused")
    assert where in str(said["error"]).upper() or where == said["error"]["where"]


def numbers(value):
    """Every object that claims to be a measured number."""
    if isinstance(value, dict):
        if "estimate" in value:
            yield value
        for one in value.values():
            yield from numbers(one)
    elif isinstance(value, list):
        for one in value:
            yield from numbers(one)

"""Whole runs on the tiny model: a planted rule is found, shuffled labels are not, and a stopped run goes on."""

import contextlib
import json
import signal
import subprocess
import sys

import pytest
import torch
import transformers as T
from tests.experiments.audit.small import records
from tests.experiments.reward.planted import lists, pairs, write

from springback.errors import RefusedError
from springback.experiments.reward import outcome
from springback.experiments.reward.config import Reward, settled
from springback.experiments.reward.run import run_reward
from springback.experiments.reward.training import order
from springback.models import reward_folder
from springback.models.reward_model import scores

FOUND = {"tiny": True, "held_out": "0.4", "epochs": 2.0, "learning_rate": 3e-3, "evaluate_every": 9}


def run(path, data, **more):
    done = run_reward(settled(Reward(**{**FOUND, **more}), data), path, quiet=True)
    return done, records(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "rule.jsonl", pairs(240))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "small.jsonl", pairs(40))


@pytest.fixture(scope="module")
def ran(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("reward") / "run"
    return path, *run(path, data)


def test_a_planted_rule_is_found(ran):
    held = ran[2]["held_out", "held_out"]
    assert held["accuracy"]["low"] > 0.9
    assert ran[2]["reading", "0"]["held_out"]["accuracy"]["estimate"] < 0.65
    assert all(check["outcome"] == "pass" for check in ran[2]["accounting", "accounting"]["checks"])


def test_shuffled_labels_are_not(tmp_path):
    data = write(tmp_path / "none.jsonl", pairs(240, shuffled=True))
    done, found = run(tmp_path / "run", data)
    accuracy = found["held_out", "held_out"]["accuracy"]
    assert accuracy["low"] < 0.5 < accuracy["high"]
    assert any("chance" in doubt for doubt in outcome.doubts(done.run))


def test_the_model_of_the_result_scores_as_it_was_measured_in_plain_transformers(ran):
    path, done, found = ran
    folder = outcome.result(done.run, done.work_done, None)["model"]
    tokenizer = T.AutoTokenizer.from_pretrained(folder)
    plain = T.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = [json.loads(line) for line in (path.parent.parent).glob("data*/rule.jsonl").__next__().open()]
    stored = found["score", "3"]
    row = rows[int(stored["where"].rpartition(":")[2]) - 1]
    for text, expected in zip((row["chosen"], row["rejected"]), stored["scores"], strict=True):
        turns = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": text}]
        ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True)
        with torch.no_grad():
            assert plain(**ids).logits.item() == pytest.approx(expected, abs=1e-4)


def test_every_step_and_reading_stands_in_the_history(ran):
    found = outcome.history(ran[1].run)
    assert [entry["step"] for entry in found] == list(range(19))
    assert [entry["step"] for entry in found if "held_out" in entry] == [0, 9, 18]
    assert found[1]["examples"] == 16
    assert "loss" not in found[0]
    assert outcome.result(ran[1].run, {}, None).keys() >= {"model", "history", "held_out", "accounting"}


def test_a_second_call_does_no_work_and_changes_nothing(ran, data):
    again, same = run(ran[0], data)
    assert set(again.work_done.values()) == {0}
    assert same == ran[2]
    with pytest.raises(RefusedError, match="learning_rate"):
        run(ran[0], data, learning_rate=1e-3)


def test_the_checkpoint_is_gone_at_the_end_and_the_same_question_has_the_same_records(ran, data, tmp_path):
    assert not (ran[0] / "checkpoints").exists()
    assert run(tmp_path / "again", data)[1] == ran[2]


def test_the_first_steps_of_a_longer_run_are_those_of_a_shorter_one(small, tmp_path):
    short = run(tmp_path / "short", small, epochs=1.0)[1]
    long = run(tmp_path / "long", small, epochs=2.0)[1]
    assert [long["step", str(k)] for k in range(1)] == [short["step", str(k)] for k in range(1)]
    assert len([key for key in long if key[0] == "step"]) == 3


def test_micro_batches_change_nothing_but_rounding(small, tmp_path):
    whole, parts = (run(tmp_path / str(n), small, batch=8, accumulate=n)[1] for n in (1, 4))
    for key, body in whole.items():
        if key[0] == "step":
            assert parts[key]["loss"] == pytest.approx(body["loss"], abs=1e-4)
            assert parts[key]["gradient_norm"] == pytest.approx(body["gradient_norm"], rel=1e-3)


def test_killed_between_two_checkpoints_it_ends_in_the_same_records(small, tmp_path):
    whole = run(tmp_path / "whole", small, batch=4, checkpoint_every=2)[1]
    command = [
        sys.executable, "-m", "springback", "reward", small, "--tiny", "--held-out", "0.4", "--epochs", "2.0",
        "--quiet", "--learning-rate", "3e-3", "--evaluate-every", "9", "--batch", "4", "--checkpoint-every", "2",
        "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for_steps(tmp_path / "run", process, 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert "held_out" not in {kind for kind, _ in records(tmp_path / "run")}
    subprocess.run(command, check=True, capture_output=True)
    found = records(tmp_path / "run")
    apart = {key for key in {*whole, *found} if whole.get(key) != found.get(key)}
    assert apart == set()


def _wait_for_steps(path, process, steps):
    """Until so many steps are stored."""
    while process.poll() is None:
        if (path / "run.json").exists() and (path / "records.sqlite").exists():
            with contextlib.suppress(Exception):
                if sum(kind == "step" for kind, _ in records(path)) >= steps:
                    return


@pytest.mark.parametrize("loss", ["margin", "plackett_luce", "rank_net", "lambda_rank", "list_mle", "list_net"])
def test_every_loss_trains_on_scored_answers(loss, tmp_path):
    data = write(tmp_path / "lists.jsonl", lists(40))
    found = run(tmp_path / "run", data, loss=f"{loss}:centring=0.01", evaluate_every=100, epochs=1.0)[1]
    held = found["held_out", "held_out"]
    assert (held["rows"], held["pairs"], held["accuracy"]["over"]) == (16, 48, "prompts")
    assert held["best_first"]["estimate"] is not None


def test_margins_reach_the_loss(tmp_path):
    losses = []
    for margin in (0.0, 3.0):
        data = write(tmp_path / f"{margin}.jsonl", pairs(24, more=lambda _, m=margin: {"margin": m}))
        losses.append(run(tmp_path / str(margin), data, loss="margin", epochs=0.5)[1]["step", "0"]["loss"])
    assert losses[1] > losses[0] + 1.5


def test_relevances_that_a_loss_cannot_take_are_refused_before_anything_is_written(tmp_path):
    rows = [{**row, "scores": [score - 1 for score in row["scores"]]} for row in lists(20)]
    with pytest.raises(RefusedError, match=r"relevances in \[0, 60\]"):
        run(tmp_path / "run", write(tmp_path / "lists.jsonl", rows), loss="lambda_rank")
    assert not (tmp_path / "run").exists()


def test_a_row_that_does_not_fit_is_refused_or_dropped_and_counted(tmp_path):
    rows = pairs(24)
    rows[5]["chosen"] = "z" * 3000
    data = write(tmp_path / "long.jsonl", rows)
    with pytest.raises(RefusedError, match="Nothing is cut") as refused:
        run(tmp_path / "run", data)
    assert refused.value.where.endswith("long.jsonl:6")
    assert not (tmp_path / "run").exists()
    told = run(tmp_path / "run", data, too_long="drop")[1]["accounting", "accounting"]
    dropped = [reason for ledger in told["ledgers"] for reason in ledger["dropped"]]
    assert [(one["n"], one["first"]) for one in dropped] == [(1, ["long.jsonl:6"])]


def test_a_reward_model_can_be_trained_on(ran, small, tmp_path):
    found = run(tmp_path / "run", small, model=str(ran[0] / "model"), tiny=False, device="cpu", dtype="float32")[1]
    assert found["reading", "0"]["held_out"]["accuracy"]["estimate"] > 0.9


def test_bfloat16_trains_masters_and_says_how_far_the_saved_model_is_off(small, tmp_path):
    _, found = run(tmp_path / "run", small, dtype="bfloat16")
    saved = found["accounting", "accounting"]["saved"]
    assert saved["trained_in"] == "bfloat16"
    assert 0 < saved["largest_difference"] < 0.2
    model = reward_folder.load(str(tmp_path / "run" / "model"), dtype=torch.float32)
    rows, stored = pairs(40), found["score", "0"]
    row = rows[int(stored["where"].rpartition(":")[2]) - 1]
    again = scores(model, [(row["prompt"], row["chosen"]), (row["prompt"], row["rejected"])])
    assert stored["scores"] == pytest.approx(again, abs=1e-5)  # measured is what was saved
    weights = model.network.state_dict()
    assert any(not torch.equal(tensor, tensor.bfloat16().float()) for tensor in weights.values())


def test_lora_trains_adapter_and_head_and_saves_one_model(data, tmp_path):
    pytest.importorskip("peft")
    _, found = run(tmp_path / "run", data, tuner="lora", learning_rate=1e-2, evaluate_every=100)
    assert found["held_out", "held_out"]["accuracy"]["low"] > 0.6
    assert all(check["outcome"] == "pass" for check in found["accounting", "accounting"]["checks"])
    model = reward_folder.load(str(tmp_path / "run" / "model"), dtype=torch.float32)
    assert len(scores(model, [("Say 1", "abz")])) == 1


def test_an_order_takes_every_row_once_an_epoch():
    places = order(10, 25, 3)
    assert [sorted(places[start : start + 10]) for start in (0, 10)] == [list(range(10))] * 2
    assert len(places) == 25
    assert places[:10] != places[10:20]
    assert order(10, 10, 3) == places[:10]
    assert order(10, 10, 4) != places[:10]

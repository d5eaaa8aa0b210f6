"""`springback losses`: the family as a table and as a calculator."""

import json
import math
import subprocess
import sys

import pytest

from springback.cli.main import app
from springback.train.preference import LOSSES

AT = ["chosen=-12.3", "rejected=-15.1", "ref_chosen=-13.0", "ref_rejected=-14.2", "chosen_tokens=7",
      "rejected_tokens=9"]  # fmt: skip


@pytest.fixture
def ask(capsys):
    def _ask(*words):
        code = app(["losses", *map(str, words), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return _ask


@pytest.fixture
def value(ask):
    def _value(*words):
        code, said = ask(*words)
        assert (code, said["status"]) == (0, "done"), said
        loss = said["result"]["losses"][0]
        assert [said["result"][key] for key in ("value", "d_w", "d_l")] == [
            loss[key] for key in ("value", "d_w", "d_l")
        ]
        return loss

    return _value


def test_the_table_names_every_loss_with_its_source_needs_and_options(ask):
    code, said = ask()
    assert (code, said["command"]) == (0, "losses")
    losses = said["result"]["losses"]
    assert [loss["name"] for loss in losses] == list(LOSSES)
    for loss in losses:
        assert loss["paper"]["url"].startswith("https://")
        assert loss["needs"]
        assert loss["formula"]
        assert all(option["doc"] and option["value"] == option["default"] for option in loss["options"].values())
    assert losses[0]["options"] == {"beta": {"value": 0.1, "default": 0.1, "doc": losses[0]["options"]["beta"]["doc"]}}


@pytest.mark.parametrize("words", [
    ["robust_dpo", "--at", *AT, "--beta", "0.2", "--label-smoothing", "0.3"],
    ["robust_dpo", "--beta", "0.2", "--label_smoothing", "0.3", "--at", *AT],
    ["Robust-DPO", "--at", *AT, "beta=0.2", "label_smoothing=0.3"],
    ["robust:beta=0.2,label_smoothing=0.3", "--at", *AT],
    ["robust:beta=0.2", "--at", *AT, "--epsilon", "0.3"],
    ["--at", *AT, "robust_dpo", "beta=0.2", "label-smoothing=0.3"],
    ["robust_dpo", "--at", ",".join(AT), "--at", "beta=0.2,label_smoothing=0.3"],
])  # fmt: skip
def test_options_are_taken_wherever_they_stand(value, words):
    loss = value(*words)
    x = 0.2 * 1.6
    right, wrong = math.log1p(math.exp(-x)), math.log1p(math.exp(x))
    assert loss["name"] == "robust_dpo"
    assert {key: option["value"] for key, option in loss["options"].items()} == {"beta": 0.2, "label_smoothing": 0.3}
    assert loss["value"] == pytest.approx((0.7 * right - 0.3 * wrong) / 0.4)
    assert loss["d_w"] == loss["d_l"] == pytest.approx(0.2 * (1 / (1 + math.exp(x)) + 0.3 / 0.4))


@pytest.mark.parametrize(("words", "expected"), [
    (["dpo"], (0.61634377, 0.04600851, 0.04600851)),
    (["ipo", "--tau", "0.1"], (11.56, 6.8, 6.8)),
    (["ipo_mean", "tau=0.1"], (23.04, 1.37142857, 1.06666667)),
    (["kto", "--beta", "0.1", "z=0.3"], (0.48001864, 0.01249500, 0.01245511)),
    (["ld_dpo", "--alpha", "0.5"], (0.62095705, None, None)),
    (["ld_dpo_policy_only", "--alpha", "0.5"], (0.69704363, None, None)),
    (["wpo"], (0.01986351, 0.00148276, 0.00148276)),
    (["info_nca", "--alpha", "1"], (0.65937440, 0.01911437, 0.01911437)),
    (["rrhf"], (12.37936508, 1.14285714, 0.11111111)),
    (["slic_hf", "--delta", "5", "--nll", "0.1"], (3.43, 1.1, 1.0)),
    (["simpo", "--beta", "2.5", "--gamma", "1.4"], (1.78258025, 0.29707015, 0.23105456)),
    (["apo_down"], (0.97757797, -0.00012872, 0.02484068)),
    (["npo"], (12.98318678, 0, 0.95503035)),
])  # fmt: skip
def test_the_calculator_gives_the_known_values(value, words, expected):
    at = ["--at", *AT, *(word for word in words[1:] if "=" in word)]
    loss = value(words[0], *(word for word in words[1:] if "=" not in word), *at)
    for key, known in zip(("value", "d_w", "d_l"), expected, strict=True):
        assert known is None or loss[key] == pytest.approx(known, abs=2e-8)


def test_it_says_which_way_each_answer_is_pushed(value):
    assert value("dpo", "--at", *AT)["pushes"] == {"chosen": "up", "rejected": "down"}
    assert value("apo_down", "--at", *AT)["pushes"] == {"chosen": "down", "rejected": "down"}
    assert value("npo", "--at", *AT)["pushes"] == {"chosen": "not", "rejected": "down"}
    beyond = ["chosen=-2", "rejected=-25", "ref_chosen=-13", "ref_rejected=-14"]
    assert value("ipo", "--at", *beyond)["pushes"] == {"chosen": "down", "rejected": "up"}


def test_what_is_assumed_is_said_and_may_be_said_otherwise(value):
    assert value("dpo", "--at", *AT)["assumed"] == []
    assert any("equally likely" in words for words in value("ld_dpo", "--at", *AT)["assumed"])
    assert any("z is 0" in words for words in value("kto", "--at", *AT)["assumed"])
    told = value("kto", "--at", *AT, "z=0.3")
    assert not any("z is 0" in words for words in told["assumed"])
    # D_l − D_w = 0.7 − 0.2 moves TDPO's logit by β·0.5
    moved = value("tdpo1", "--at", *AT, "chosen_divergence=0.2", "rejected_divergence=0.7")
    assert moved["value"] == pytest.approx(math.log1p(math.exp(-0.1 * (1.6 - 0.5))))
    # z = 1.5 on top of γ/β = 0.6: the margin of means is 0.6 + 0.2·1.5
    mean = -12.3 / 7 + 15.1 / 9
    assert value("alpha_dpo", "--at", *AT, "z=1.5")["value"] == pytest.approx(math.log1p(math.exp(-2.5 * (mean - 0.9))))
    drawn = value("d2o", "--at", *AT, "samples=-3,-4", "ref_samples=-3.5,-4.5", "--beta", "0.1", "--alpha", "0.1")
    assert drawn["value"] == pytest.approx(math.log1p(math.exp(-(0.1 * 0.5 + 0.1 * 0.9))))
    prompt = value("orpo_with_prompt", "--at", *AT, "prompt=-30", "prompt_tokens=12")
    assert prompt["value"] == pytest.approx((30 + 12.3) / (12 + 7) + 0.07426856, abs=1e-8)


def test_all_losses_are_valued_at_once_and_what_lacks_a_number_says_so(ask):
    _, said = ask("--at", *AT)
    found = {loss["name"]: loss for loss in said["result"]["losses"]}
    assert set(found) == set(LOSSES)
    without = {name for name, loss in found.items() if loss["value"] is None}
    assert without == {"orpo_with_prompt"}
    assert "prompt" in found["orpo_with_prompt"]["why"]
    _, said = ask("--at", "chosen=-1", "rejected=-2", "--beta", "0.3")
    found = {loss["name"]: loss for loss in said["result"]["losses"]}
    assert "ref_chosen" in found["dpo"]["why"]
    assert found["cpo"]["options"]["beta"]["value"] == 0.3
    assert found["slic_hf"]["value"] == pytest.approx(0.1)


def test_one_loss_may_be_asked_twice(ask):
    _, said = ask("robust:beta=0.1,label_smoothing=0", "dpo:beta=0.5", "--at", *AT)
    assert [loss["value"] for loss in said["result"]["losses"]] == pytest.approx([0.61634377, 0.37110067], abs=1e-8)
    assert "value" not in said["result"]


def test_a_loss_of_the_users_is_valued_without_registration(value, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "def loss(policy, reference):\n    return 2 * policy.over(reference).rejected - policy.chosen ** 2\n"
    )
    found = value(path, "--at", *AT)
    assert (found["value"], found["d_w"], found["d_l"]) == pytest.approx((-1.8 - 12.3**2, -24.6, 2.0))
    assert found["paper"] is None


@pytest.mark.parametrize(("words", "says"), [
    (["dpoo"], "dpoo is no loss"),
    (["dpo", "--gama", "1"], "dpo: there is no option gama"),
    (["--gama", "1"], "no loss has an option gama"),
    (["dpo", "--label-smoothing", "0.1", "--at", *AT], "dpo: there is no option label_smoothing"),
    (["ipo", "--label-smoothing", "0.1", "--at", *AT], "ipo: there is no option label_smoothing"),
    (["dpo", "--beta", "-1"], "beta must be a number > 0, got -1"),
    (["dpo", "--beta", "x"], "beta must be a number, got x"),
    (["dpo:beta=1", "--beta", "2"], "beta is given twice"),
    (["dpo", "--beta", "1", "--at", *AT, "beta=2"], "beta is given twice"),
    (["dpo", "--at", "chosen=-1", "rejected=-2"], "dpo needs ref_chosen, ref_rejected"),
    (["simpo", "--at", "chosen=-1", "rejected=-2"], "simpo needs chosen_tokens, rejected_tokens"),
    (["dpo", "--at", *AT[1:], "chosen=0.5"], "chosen must be a log-probability in nats, at most 0, got 0.5"),
    (["dpo", "--at", *AT[1:], "chosen=nan"], "chosen must be a log-probability"),
    (["dpo", "--at", *AT[1:], "chosen=low"], "chosen must be a log-probability"),
    (["simpo", "--at", *AT[:5], "rejected_tokens=0"], "rejected_tokens must be a whole number of tokens"),
    (["simpo", "--at", *AT[:5], "rejected_tokens=2.5"], "rejected_tokens must be a whole number of tokens"),
    (["dpo", "--at", *AT, "chosen=-1"], "chosen is given twice"),
    (["dpo", "--at", *AT, "z=1"], "none of dpo reads it"),
    (["d2o", "--at", *AT, "samples=-3"], "samples and ref_samples must be as many"),
    (["dpo", "--chosen", "-1"], "--chosen is a number of the pair"),
    (["dpo", "--at", *AT, "chosn=-1"], "no option chosn"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(ask, words, says):
    code, said = ask(*words)
    assert (code, said["status"]) == (2, "refused")
    assert says in said["error"]["message"]
    assert said["error"]["next"]


@pytest.mark.parametrize("words", [[], ["ipo"], ["--at", *AT], ["kto", "ld_dpo", "--at", *AT]])
def test_what_people_see_fits_120_columns(capsys, words):
    assert app(["losses", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert max(map(len, lines)) <= 120 or words == ["ipo"]


def test_its_help_needs_no_torch():
    code = (
        "import sys; from springback.cli.main import app; app(['losses', '--help']);"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--at" in done.stdout

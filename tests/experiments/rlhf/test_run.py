"""Whole runs of the tiny model, in this process."""

import json
from dataclasses import replace

import pytest
import torch
from tests.experiments.rlhf.climber import design

from springback.errors import RefusedError
from springback.experiments.rlhf import laboratory as lab
from springback.experiments.rlhf.policy import policy
from springback.experiments.rlhf.rewards.checked import Reward
from springback.experiments.rlhf.run import run_rlhf
from springback.experiments.rlhf.sources import gather
from springback.models.adapters import trainable
from springback.models.load import load
from springback.models.tiny import tiny
from springback.models.tokens import encode_prompt
from springback.train.policy import METHODS

PROMPTS = [f"Say {word}." for word in ("one", "two", "three", "four", "five", "six", "seven", "eight")]
WORDS = "def reward(given):\n    return [sum(i % 3 == 0 for i in c.answer_ids) / 6 for c in given]\n"
SMALL = {"prompts_per_step": 2, "group": 4, "max_new_tokens": 6, "steps": 3, "held_out": 3}


@pytest.fixture
def files(tmp_path):
    prompts, code = tmp_path / "p.jsonl", tmp_path / "r.py"
    prompts.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in PROMPTS))
    code.write_text(WORDS)
    return prompts, code


def asked(code, **options):
    return replace(design(**SMALL | options), reward=str(code))


def records(run):
    return {(kind, key): {name: x for name, x in body.items() if name != "cost"}
            for kind in run.kinds() for key, body in run.read(kind).items()}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_every_method_runs_learns_and_leaves_finite_numbers(tmp_path, files, name):
    done = run_rlhf(files[0], asked(files[1], method=name, passes=2, steps=2, held_out=0), tmp_path / "run", quiet=True)
    steps = list(done.run.read("step").values())
    assert [body["step"] for body in steps] == [0, 1]
    assert all(body["updates"] == 2 for body in steps)
    assert steps[1]["kl"]["estimate"] > 0
    assert steps[0]["ratio_furthest"][0] < 1e-5 < steps[0]["ratio_furthest"][1]


def test_the_same_question_gives_the_same_records_and_weights_and_another_seed_others(tmp_path, files):
    found = [run_rlhf(files[0], asked(files[1], seed=seed), tmp_path / str(i), quiet=True)
             for i, seed in enumerate((0, 0, 1))]  # fmt: skip
    one, two, other = (records(done.run) for done in found)
    assert one == two
    assert one["completion", "0/0"]["answer_ids"] != other["completion", "0/0"]["answer_ids"]
    assert same(tmp_path / "0/model", tmp_path / "1/model")


def same(one, other):
    states = [load(str(path), dtype=torch.float32).network.state_dict() for path in (one, other)]
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("options", [{}, {"tuner": "lora"}, {"method": "ppo:target=0.1", "passes": 2}], ids=str)
def test_what_is_taken_up_after_a_crash_ends_at_the_same_records_and_the_same_weights(
    tmp_path, files, options, monkeypatch
):
    asking = asked(files[1], steps=4, checkpoint_every=2, **options)
    whole = run_rlhf(files[0], asking, tmp_path / "whole", quiet=True)
    learn = lab.ModelLaboratory.learn

    def dies(self, step, completions):
        if step == 3:
            raise KeyboardInterrupt
        return learn(self, step, completions)

    with monkeypatch.context() as patched:
        patched.setattr(lab.ModelLaboratory, "learn", dies)
        with pytest.raises(KeyboardInterrupt):
            run_rlhf(files[0], asking, tmp_path / "torn", quiet=True)
    again = run_rlhf(files[0], asking, tmp_path / "torn", quiet=True)
    assert again.work_done["steps"] == 2
    assert records(again.run) == records(whole.run)
    assert same(tmp_path / "whole/model", tmp_path / "torn/model")


def test_a_step_is_replayed_from_its_records_without_writing_or_asking_for_a_reward(tmp_path, files):
    asking = asked(files[1], steps=1)
    done = run_rlhf(files[0], asking, tmp_path / "run", quiet=True)
    bodies = list(done.run.read("completion").values())

    def never(*_):
        raise AssertionError

    replayed = lab.laboratory(asking, gather(files[0], asking), tmp_path / "again")
    replayed.reward = Reward("never", never)
    found = replayed.learn(0, bodies)
    assert found == records(done.run)["step", "0"]
    replayed.policy.write(tmp_path / "model")
    assert same(tmp_path / "run/model", tmp_path / "model")


def test_the_advantages_of_a_step_are_those_of_its_rewards(tmp_path, files):
    done = run_rlhf(files[0], asked(files[1], steps=1, method="rloo:beta=0"), tmp_path / "run", quiet=True)
    bodies, step = list(done.run.read("completion").values()), done.run.read("step")["0"]
    for place, body in enumerate(bodies):
        others = [b["reward"] for b in bodies if b["group"] == body["group"] and b["index"] != body["index"]]
        expected = body["reward"] - sum(others) / len(others)
        assert step["by_answer"]["advantage"][place] == pytest.approx(expected)


def test_the_sampler_and_the_trainer_agree_on_every_token(tmp_path, files):
    done = run_rlhf(files[0], asked(files[1], temperature=0.7), tmp_path / "run", quiet=True)
    assert all(body["sampler_gap"]["largest"] < 1e-4 for body in done.run.read("step").values())


def test_answers_without_a_reward_are_left_out_and_counted(tmp_path, files):
    files[1].write_text(
        "def reward(given):\n    return [None if i % 4 == 0 else float(i) for i in range(len(given))]\n"
    )
    done = run_rlhf(files[0], asked(files[1], steps=1), tmp_path / "run", quiet=True)
    step = done.run.read("step")["0"]
    assert step["excluded"]["no_reward"] == 2
    assert step["by_answer"]["index"] == [1, 2, 3, 5, 6, 7]
    assert done.run.get("accounting", "accounting")["answers"]["without_reward"] == 2


def test_cut_off_answers_are_dropped_where_asked_and_counted_either_way(tmp_path, files):
    code = files[1]
    with pytest.raises(RefusedError, match="none of the 8 answers can be learnt from"):
        run_rlhf(files[0], asked(code, truncated="drop", max_new_tokens=1), tmp_path / "drop", quiet=True)
    kept = run_rlhf(files[0], asked(code, max_new_tokens=1), tmp_path / "keep", quiet=True)
    assert kept.run.get("accounting", "accounting")["answers"]["cut_off"] >= 22


def test_a_reward_that_never_gives_a_number_leaves_no_run_behind(tmp_path, files):
    files[1].write_text("def reward(given):\n    return [1.0]\n")
    with pytest.raises(RefusedError, match="gave 1 numbers for 3 completions"):
        run_rlhf(files[0], asked(files[1]), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_method_that_compares_answers_needs_two(tmp_path, files):
    with pytest.raises(RefusedError, match="compares answers to one prompt"):
        run_rlhf(files[0], asked(files[1], group=1), tmp_path / "run", quiet=True)
    done = run_rlhf(
        files[0], asked(files[1], group=1, method="reinforce_plus_plus", steps=1), tmp_path / "r", quiet=True
    )
    assert done.run.read("step")["0"]["updates"] == 1


def test_a_prompt_without_room_for_its_answer_is_refused_with_its_line(tmp_path, files):
    files[0].write_text(json.dumps({"prompt": "fine"}) + "\n" + json.dumps({"prompt": "x" * 1100}) + "\n")
    with pytest.raises(RefusedError, match="Nothing is truncated") as refused:
        run_rlhf(files[0], asked(files[1], held_out=0), tmp_path / "run", quiet=True)
    assert refused.value.where == "p.jsonl:2"


def test_a_one_token_run_settles_at_the_reference_tilted_by_its_reward(tmp_path, files):
    """π* ∝ π_start·e^{r/β} over the whole vocabulary, reached by a network, through the run."""
    prompts, code = files
    prompts.write_text(json.dumps({"prompt": "Say a letter."}) + "\n")
    code.write_text("def reward(given):\n    return [float(c.answer_ids[0] % 4 == 1) for c in given]\n")
    options = {"prompts_per_step": 1, "group": 256, "max_new_tokens": 1, "steps": 45, "held_out": 0, "at_once": 256}
    penalty = {"method": "rloo", "beta": 0.5, "kl": "k1", "kl_in": "reward", "learning_rate": 1e-3}
    run_rlhf(prompts, asked(code, **options, **penalty), tmp_path / "run", quiet=True)
    start, found = shares(tiny()), shares(load(str(tmp_path / "run/model"), dtype=torch.float32))
    best = (start.log() + 2.0 * (torch.arange(len(start)) % 4 == 1)).softmax(0)
    assert distance(start, best) > 0.4
    assert distance(found, best) < 0.05


def shares(model):
    ids = encode_prompt(model, [{"role": "user", "content": "Say a letter."}])
    with torch.no_grad():
        return model.network(torch.tensor([ids])).logits[0, -1].double().softmax(0)


def distance(one, other):
    return float((one - other).abs().sum() / 2)


def test_a_saved_adapter_is_the_network_that_was_measured(tmp_path):
    trained = policy(design(tuner="lora"), tmp_path / "state", values=False)
    ids = torch.tensor([[5, 9, 40, 77]])
    with torch.no_grad():
        for name in trainable(trained.network):
            parameter = trained.network.get_parameter(name)
            parameter.normal_(std=0.05, generator=torch.Generator().manual_seed(len(name)))
        expected, start = trained.network(ids).logits, tiny().network(ids).logits
        trained.write(tmp_path / "model")
        found = load(str(tmp_path / "model"), dtype=torch.float32).network(ids).logits
        with trained.start() as network:
            assert torch.equal(network(ids).logits, start)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert (found - start).abs().max() > 0.1

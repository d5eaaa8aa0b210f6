"""The classic pipeline, from one file."""

import json

import pytest

from springback.errors import RefusedError
from springback.experiments.rlhf import outcome
from springback.experiments.rlhf.config import Rlhf
from springback.experiments.rlhf.staged_files import split
from springback.experiments.rlhf.stages import line_of, run_stages
from springback.store.run import Run

WORDS = ["soup", "bread", "cake", "tea", "room", "chair", "table", "garden", "street", "train", "song", "book"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [
        {"prompt": f"Say one thing about the {word}.", "chosen": f"The {word} was good {i}.", "rejected": f"No {i}."}
        for i in range(2)
        for word in WORDS
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_prompt_is_on_one_side_in_all_stages(file, tmp_path):
    found = split(file, 3, 8)
    files = found.write(tmp_path / "files")
    read = lambda path: [json.loads(line) for line in path.read_text().splitlines()]
    sides = [{row["prompt"][0]["content"] for row in read(path)} for path in (files.training, files.held_out)]
    assert not sides[0] & sides[1]
    assert (len(found.training), len(found.held_out), found.held_out_prompts) == (18, 6, 3)
    prompts = [row["prompt"][0]["content"] for row in read(files.prompts)]
    assert len(prompts) == 12
    assert set(prompts[-3:]) == sides[1]


def test_three_stages_leave_three_models_and_the_second_call_does_nothing(file, tmp_path):
    asked = Rlhf(tiny=True, steps=1, prompts_per_step=2, group=2, max_new_tokens=4, held_out=3)
    line = line_of(("sft", "reward", "ppo"), asked)
    assert line.names == ["sft", "reward", "ppo"]
    done = run_stages(file, line, tmp_path / "run", quiet=True)
    told = outcome.staged(done.run, done.work_done, None)
    assert [stage["name"] for stage in told["stages"]] == ["sft", "reward", "ppo"]
    for name in line.names:
        assert (tmp_path / "run" / name / "model/config.json").is_file()
    assert told["stages"][0]["found"]["loss"]["difference"]["estimate"] < 0
    assert told["held_out"]["n"] == 3
    assert told["model"] == str(tmp_path / "run/ppo/model")
    written = (tmp_path / "run/run.json").read_bytes()
    again = run_stages(file, line, tmp_path / "run", quiet=True)
    assert set(again.work_done.values()) == {0}
    assert (tmp_path / "run/run.json").read_bytes() == written


@pytest.mark.parametrize(
    ("stages", "options"),
    [
        (("reward", "sft", "ppo"), {}),
        (("sft", "reward"), {}),
        (("sft", "ppo"), {"tiny": False}),
        (("sft", "reward", "ppo"), {"reward": "r.py"}),
        (("sft", "reward", "ppo"), {"method": "rloo"}),
    ],
    ids=lambda each: str(each),
)
def test_what_is_no_pipeline_is_refused(stages, options):
    with pytest.raises(RefusedError):
        line_of(stages, Rlhf(**{"tiny": True} | options))


def test_the_method_s_options_and_a_given_reward_are_kept():
    line = line_of(("sft", "ppo"), Rlhf(tiny=True, reward="r.py", method="ppo:lam=1.0", beta=0.2))
    assert (line.names, line.design.method, line.design.reward) == (["sft", "ppo"], "ppo:lam=1.0,beta=0.2", "r.py")


def test_labelled_answers_are_no_pairs(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"p {i}", "completion": "a", "label": bool(i % 2)}) + "\n"
                            for i in range(8)))  # fmt: skip
    with pytest.raises(RefusedError, match="better and a worse answer"):
        split(path, 2, 8)


def test_in_a_second_round_the_reward_model_learns_against_the_policy_s_own_answers(file, tmp_path):
    asked = Rlhf(tiny=True, steps=5, prompts_per_step=2, group=2, max_new_tokens=4, held_out=3)
    line = line_of(("reward", "grpo"), asked, rounds=2)
    assert line.names == ["reward", "grpo", "reward-2", "grpo-2"]
    done = run_stages(file, line, tmp_path / "run", quiet=True)
    read = lambda name: [json.loads(text) for text in (tmp_path / "run/files" / name).read_text().splitlines()]
    first, second = read("training.jsonl"), read("training-2.jsonl")
    assert second[: len(first)] == first
    with Run.look(tmp_path / "run/grpo") as policy:
        written = {body["answer"].strip() for body in policy.read("completion").values()}
    assert 0 < len(second) - len(first) <= 9
    for row in second[len(first) :]:
        assert row["rejected"].strip() in written
        assert row["chosen"] in {one["chosen"] for one in first if one["prompt"] == row["prompt"]}
    with Run.look(tmp_path / "run/grpo-2") as last:
        assert last.asked["model"] == str(tmp_path / "run/grpo/model")
        assert last.asked["reward"] == str(tmp_path / "run/reward-2/model")
    assert list(done.run.read("stage")) == line.names
    with pytest.raises(RefusedError):
        line_of(("sft", "grpo"), Rlhf(tiny=True, reward="r.py"), rounds=2)

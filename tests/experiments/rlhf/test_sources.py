import json

import pytest
from tests.experiments.rlhf.climber import design

from springback.errors import RefusedError
from springback.experiments.rlhf.sources import dealt, gather, identity


def prompts(path, count):
    path.write_text("".join(json.dumps({"prompt": f"Say {i}."}) + "\n" for i in range(count)))
    return path


def test_the_last_prompts_are_held_out_and_no_step_takes_one(tmp_path):
    found = gather(prompts(tmp_path / "p.jsonl", 10), design(held_out=3))
    assert [row.prompt[0].content for row in found.held_out] == ["Say 7.", "Say 8.", "Say 9."]
    asked = design(held_out=3, steps=9)
    assert {place for step in range(9) for place in dealt(found, asked, step)} == set(range(7))


def test_every_prompt_is_taken_once_a_round_and_rounds_differ(tmp_path):
    found, asked = gather(prompts(tmp_path / "p.jsonl", 10), design(held_out=2)), design(held_out=2)
    places = [place for step in range(6) for place in dealt(found, asked, step)]
    rounds = [places[start : start + 8] for start in (0, 8, 16)]
    assert rounds[0] == list(range(8))
    assert all(sorted(each) == list(range(8)) for each in rounds)
    assert len({tuple(each) for each in rounds}) == 3


def test_the_first_steps_of_a_long_run_are_those_of_a_short_one(tmp_path):
    found = gather(prompts(tmp_path / "p.jsonl", 10), design(seed=3))
    assert [dealt(found, design(seed=3, steps=2), s) for s in range(2)] == [
        dealt(found, design(seed=3, steps=9), s) for s in range(2)
    ]
    assert dealt(found, design(seed=4), 0) != dealt(found, design(seed=3), 0)


def test_a_quarter_is_held_out_where_nothing_is_said_and_one_prompt_is_enough(tmp_path):
    assert len(gather(prompts(tmp_path / "p.jsonl", 10), design()).held_out) == 2
    assert len(gather(prompts(tmp_path / "many.jsonl", 100), design()).held_out) == 8
    one = gather(prompts(tmp_path / "one.jsonl", 1), design())
    assert (len(one.training), len(one.held_out)) == (1, 0)
    assert dealt(one, design(), 3) == [0, 0, 0, 0]


def test_to_hold_all_out_is_refused(tmp_path):
    with pytest.raises(RefusedError, match="leaves none of the 3 prompts"):
        gather(prompts(tmp_path / "p.jsonl", 3), design(held_out=3))


def test_another_reward_file_is_another_question(tmp_path):
    path, code = prompts(tmp_path / "p.jsonl", 4), tmp_path / "r.py"
    found = []
    for text in ("a = 1", "a = 2"):
        code.write_text(text)
        asked = design()
        found.append(identity(gather(path, type(asked)(**{**_fields(asked), "reward": str(code)}))))
    assert found[0] != found[1]


def _fields(asked):
    return {name: getattr(asked, name) for name in asked.__slots__}

import json

import pytest

from springback.data.prompts import read
from springback.errors import RefusedError


def written(tmp_path, *rows, name="p.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def said(row):
    return [(turn.role, turn.content) for turn in row.prompt]


def test_a_text_is_a_user_turn_and_other_keys_go_along(tmp_path):
    (row,) = read(written(tmp_path, {"prompt": "2 + 2?", "solution": 4})).rows
    assert said(row) == [("user", "2 + 2?")]
    assert dict(row.about) == {"solution": 4}
    assert row.where == "p.jsonl:1"


def test_turns_are_kept_and_an_answer_at_the_end_of_messages_is_left_out(tmp_path):
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
    answered = [*turns, {"role": "assistant", "content": "Hello."}]
    one, two = read(written(tmp_path, {"prompt": turns}, {"messages": answered})).rows
    assert said(one) == said(two) == [("system", "Be brief."), ("user", "Hi.")]


def test_preference_rows_give_their_prompts(tmp_path):
    turns = lambda last: [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": last}]
    one, two = read(written(tmp_path, {"prompt": "Hi.", "chosen": "a", "rejected": "b"},
                            {"chosen": turns("a"), "rejected": turns("b")})).rows  # fmt: skip
    assert said(one) == said(two) == [("user", "Hi.")]
    assert one.about["chosen"] == "a"


def test_a_text_file_has_a_prompt_a_line(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("One?\n\n  Two?  \n")
    assert [(said(row)[0][1], row.where) for row in read(path).rows] == [("One?", "p.txt:1"), ("Two?", "p.txt:3")]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"question": "?"}, "has no prompt; its keys are question"),
        ({"prompt": "  "}, "empty"),
        ({"prompt": [{"role": "assistant", "content": "x"}]}, "last turn must be the user"),
        ({"prompt": [{"role": "bard", "content": "x"}]}, "list of turns"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "last turn must be the user"),
        ([1], "must be a JSON object"),
    ],
)
def test_anything_else_is_refused_with_its_line(tmp_path, row, told):
    with pytest.raises(RefusedError, match=told) as refused:
        read(written(tmp_path, {"prompt": "fine"}, row))
    assert refused.value.where.endswith("p.jsonl:2")


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(RefusedError, match="has no prompt"):
        read(written(tmp_path))

import json

import pytest

from springback.data.pairs import BY_NUMBER, bring, match
from springback.data.records import Example, Message
from springback.errors import RefusedError


def example(prompt, answer, line=1, file="a.jsonl"):
    return Example((Message("user", prompt),), answer, line, file)


def side(*rows, file):
    return [example(prompt, answer, line, file) for line, (prompt, answer) in enumerate(rows, start=1)]


def file(folder, name, rows):
    path = folder / name
    path.write_text("".join(json.dumps({"prompt": p, "completion": a}) + "\n" for p, a in rows))
    return path


def sides(folder, align, reverse):
    return bring(file(folder, "align.jsonl", align), file(folder, "reverse.jsonl", reverse))


def test_rows_are_matched_by_prompt_in_the_order_of_the_align_file():
    align = side(("x", "good x"), ("y", "good y"), ("x", "good x again"), file="a")
    reverse = side(("y", "bad y"), ("x", "bad x"), ("x", "bad x again"), file="r")
    pairs, by_number, left = match(align, reverse)
    assert [(p.wanted, p.opposite) for p in pairs] == [
        ("good x", "bad x"), ("good y", "bad y"), ("good x again", "bad x again"),
    ]  # fmt: skip
    assert [p.where for p in pairs] == [("a:1", "r:2"), ("a:2", "r:1"), ("a:3", "r:3")]
    assert (by_number, left) == (0, ())
    assert [p.align for p in pairs] == align
    assert {p.reverse for p in pairs} == set(reverse)


def test_rows_without_a_common_prompt_are_matched_by_number_and_keep_their_own_prompts(tmp_path):
    data = sides(tmp_path, [("a", "good a"), ("b", "good b"), ("c", "good c")], [("x", "bad x"), ("y", "bad y")])
    assert [(p.wanted, p.opposite) for p in data.pairs] == [("good a", "bad x"), ("good b", "bad y")]
    assert data.pairs[1].align.prompt[0].content == "b"
    assert data.pairs[1].reverse.prompt[0].content == "y"
    assert BY_NUMBER in data.matched
    assert any(BY_NUMBER in warning for warning in data.warnings)
    assert [(row.text, row.wanted) for row in data.extra] == [("good c", True)]


def test_one_changed_prompt_leaves_every_other_pair_where_it_was():
    rows = [(f"p{i}", f"good {i}") for i in range(6)]
    reverse = side(*((p, a.replace("good", "bad")) for p, a in rows), file="r")
    before, _, _ = match(side(*rows, file="a"), reverse)
    rows[2] = ("another prompt", "good 2")
    after, by_number, left = match(side(*rows, file="a"), reverse)
    assert [i for i in range(6) if before[i] != after[i]] == [2]
    assert (by_number, left) == (1, ())


def test_rows_with_partners_elsewhere_are_not_matched_by_number():
    align = side(("x", "1"), ("y", "2"), file="a")
    reverse = side(("z", "3"), ("x", "4"), file="r")
    pairs, _, left = match(align, reverse)
    assert [(p.wanted, p.opposite) for p in pairs] == [("1", "4")]
    assert [(row.text, row.wanted) for row in left] == [("2", True), ("3", False)]


def test_preferences_are_given_once(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a", "chosen": "good", "rejected": "bad"}\n')
    for given in ((path, None), (None, path)):
        (pair,) = bring(*given).pairs
        assert (pair.wanted, pair.opposite) == ("good", "bad")
    with pytest.raises(RefusedError, match="both sides"):
        bring(path, path)


@pytest.mark.parametrize("option", ["--align", "--reverse"])
def test_one_side_alone_is_refused_and_the_other_named(tmp_path, option):
    path = file(tmp_path, "a.jsonl", [("a", "good")])
    missing = "--reverse" if option == "--align" else "--align"
    with pytest.raises(RefusedError, match=missing) as caught:
        bring(path if option == "--align" else None, path if option == "--reverse" else None)
    assert f"Add {missing}" in caught.value.next


def test_equal_sides_are_refused_in_any_order(tmp_path):
    rows = [(f"p{i}", f"answer {i}") for i in range(5)]
    for reverse in (rows, rows[::-1], rows[:3]):
        with pytest.raises(RefusedError, match="same rows"):
            sides(tmp_path, rows, reverse)


def test_equal_answers_within_every_pair_are_refused(tmp_path):
    with pytest.raises(RefusedError, match="same rows"):
        sides(tmp_path, [("a", "Yes."), ("b", "No.")], [("a", "yes."), ("b", "no. ")])
    with pytest.raises(RefusedError, match="both answers are equal"):
        sides(tmp_path, [("a", "Yes."), ("b", "No.")], [("x", "yes."), ("y", "no. ")])


def test_equal_answers_within_some_pairs_are_left_out_and_counted(tmp_path):
    data = sides(tmp_path, [("a", "good"), ("b", "same"), ("c", "fine")], [("a", "bad"), ("b", "Same"), ("c", "poor")])
    assert [p.wanted for p in data.pairs] == ["good", "fine"]
    assert [d.n for d in data.rows_dropped] == [1]
    assert any(w.startswith("1 pairs were left out") for w in data.warnings)


def test_rows_on_both_sides_and_repeated_rows_are_warned_of_with_their_number(tmp_path):
    align = [("a", "good"), ("a", "bad"), ("b", "fine"), ("b", "fine")]
    reverse = [("a", "bad"), ("a", "awful"), ("b", "poor"), ("b", "dull")]
    warnings = sides(tmp_path, align, reverse).warnings
    assert "1 rows stand on both sides, with the same prompt and answer." in warnings
    assert "1 wanted rows repeat an earlier one." in warnings
    assert not any("opposite rows repeat" in w for w in warnings)


def test_clean_data_comes_without_warnings_and_says_what_it_is(tmp_path):
    data = sides(tmp_path, [("a", "good"), ("b", "fine")], [("a", "bad"), ("b", "poor")])
    body = data.json()
    assert body["warnings"] == ()
    assert (body["pairs"], body["matched"], body["files"]) == (2, ("prompt",), ("align.jsonl", "reverse.jsonl"))
    assert body["gap"]["bytes_wanted"] == 4
    assert body["gap"]["bytes_opposite"] == 3.5
    assert body["gap"]["bytes_apart_in_a_pair"] == 0.5
    assert len(json.loads(json.dumps(body))["sha256"]) == 64


def test_exchanged_sides_are_other_data(tmp_path):
    align, reverse = [("a", "good"), ("b", "fine")], [("a", "bad"), ("b", "poor")]
    there, back = sides(tmp_path, align, reverse), sides(tmp_path, reverse, align)
    assert there.sha256 != back.sha256
    assert [(p.wanted, p.opposite) for p in there.pairs] == [(p.opposite, p.wanted) for p in back.pairs]

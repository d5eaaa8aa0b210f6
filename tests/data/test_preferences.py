"""Preference data of every format: what is read, what is dropped and counted, what is refused with its line."""

import gzip
import json
from pathlib import Path

import pytest

from springback.data.choices import Choice, Judged, Ranking
from springback.data.preferences import as_labels, as_lists, as_pairs, built_in, read_preferences
from springback.data.records import Message
from springback.errors import RefusedError

HH = Path(__file__).parents[3] / "shared" / "data" / "preference" / "hh_harmless_test.jsonl.gz"
PAIR = {"prompt": "Which colour?", "chosen": "Blue.", "rejected": "Seven."}
USER = {"role": "user", "content": "Which colour?"}


def said(text):
    return {"role": "assistant", "content": text}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def one(tmp_path, row):
    return read_preferences(write(tmp_path / "data.jsonl", [row])).rows[0]


@pytest.mark.parametrize(
    "row",
    [
        PAIR,
        {"question": "Which colour?", "chosen": "Blue.", "rejected": "Seven.", "id": 7},
        {"prompt": [USER], "chosen": [said("Blue.")], "rejected": [said("Seven.")]},
        {"chosen": [USER, said("Blue.")], "rejected": [USER, said("Seven.")]},
        {"prompt": "Which colour?", "chosen": [USER, said("Blue.")], "rejected": [USER, said("Seven.")]},
        {"chosen": "\n\nHuman: Which colour?\n\nAssistant: Blue.",
         "rejected": "\n\nHuman: Which colour?\n\nAssistant: Seven."},
        {"prompt": "\n\nHuman: Which colour?\n\nAssistant:", "chosen": "Blue.", "rejected": "Seven."},
    ],
)  # fmt: skip
def test_the_same_pair_is_read_from_every_format(tmp_path, row):
    assert one(tmp_path, row) == Choice((Message("user", "Which colour?"),), "Blue.", "Seven.", "data.jsonl:1")


def test_a_transcript_gives_its_turns_and_keeps_an_answer_start_that_both_share(tmp_path):
    before = "\n\nHuman: Hello\n\nAssistant: Good day.\n\nHuman: Tea?\n\nAssistant:"
    row = one(tmp_path, {"chosen": before + " I would like tea.", "rejected": before + " I would not."})
    assert [(turn.role, turn.content) for turn in row.prompt] == [
        ("user", "Hello"), ("assistant", "Good day."), ("user", "Tea?"),
    ]  # fmt: skip
    assert (row.chosen, row.rejected) == ("I would like tea.", "I would not.")


def test_a_system_turn_and_the_columns_that_are_not_looked_at_are_told(tmp_path):
    found = read_preferences(write(tmp_path / "a.jsonl", [{**PAIR, "system": "Be short.", "source": "x", "id": 3}]))
    assert found.rows[0].prompt[0] == Message("system", "Be short.")
    assert found.passed_over == ("id", "source")


def test_rows_that_say_nothing_are_dropped_counted_and_named(tmp_path):
    rows = [
        PAIR,
        {**PAIR, "rejected": " "},
        {**PAIR, "chosen": "Seven. "},
        {**PAIR, "score_chosen": 3.0, "score_rejected": 3.0},
    ]
    found = read_preferences(write(tmp_path / "a.jsonl", rows))
    assert (found.ledger.read, found.ledger.kept, len(found.rows)) == (4, 1, 1)
    assert {reason.why: (reason.n, reason.first) for reason in found.ledger.dropped} == {
        "an answer is empty": (1, ("a.jsonl:2",)),
        "both answers are the same": (1, ("a.jsonl:3",)),
        "both answers have the same score": (1, ("a.jsonl:4",)),
    }


def test_dialogues_that_part_before_their_last_turn_are_no_pair(tmp_path):
    start = "\n\nHuman: Tea?\n\nAssistant:"
    rows = [
        {"chosen": start + " Yes.", "rejected": start + " No."},
        {"chosen": start + " Yes.\n\nHuman: Sugar?\n\nAssistant: No.", "rejected": start + " No."},
    ]
    found = read_preferences(write(tmp_path / "a.jsonl", rows))
    assert [(reason.why, reason.n) for reason in found.ledger.dropped] == [
        ("the two dialogues part before their last turn", 1)
    ]


def test_ranked_and_scored_answers_come_best_first_and_equal_scores_keep_their_order(tmp_path):
    ranked = one(tmp_path, {"prompt": "p", "completions": ["a", "b", "c"]})
    assert (ranked.answers, ranked.relevance, ranked.scored) == (("a", "b", "c"), (2.0, 1.0, 0.0), False)
    scored = one(tmp_path, {"prompt": "p", "completions": ["a", "b", "c"], "scores": [1, 5, 5]})
    assert (scored.answers, scored.relevance) == (("b", "c", "a"), (5.0, 5.0, 1.0))
    fed = {"instruction": "p", "completions": [{"response": "a", "overall_score": 2}, {"response": "b", "rating": 3}]}
    with pytest.raises(RefusedError, match="must"):
        one(tmp_path, {**fed, "completions": [{"response": "a", "overall_score": 2}, 3]})
    answers = [{"response": text, "overall_score": score, "own": -score} for text, score in (("a", 2.0), ("b", 3.0))]
    path = write(tmp_path / "b.jsonl", [{**fed, "completions": answers}])
    assert read_preferences(path).rows[0].answers == ("b", "a")
    assert read_preferences(path, score_field="own").rows[0].answers == ("a", "b")


def test_pairs_are_made_of_rankings_by_the_rule_and_ties_make_none(tmp_path):
    rows = [{"prompt": "p", "completions": ["a", "b", "c"], "scores": [9, 5, 5]}]
    ranked = read_preferences(write(tmp_path / "a.jsonl", rows)).rows
    pairs = {
        rule: [(pair.chosen, pair.rejected) for pair in as_pairs(ranked, rule).pairs]
        for rule in ("best_worst", "best_others", "neighbours", "all")
    }
    assert pairs == {
        "best_worst": [("a", "c")], "best_others": [("a", "b"), ("a", "c")], "neighbours": [("a", "b")],
        "all": [("a", "b"), ("a", "c")],
    }  # fmt: skip
    ledger = as_pairs(ranked, "all").ledger
    assert (ledger.read, ledger.kept, ledger.rule) == (3, 2, "all")


def test_a_pair_is_a_ranking_of_two_and_two_labelled_answers(tmp_path):
    pair = one(tmp_path, PAIR)
    assert as_lists((pair,))[0].answers == ("Blue.", "Seven.")
    assert [(row.answer, row.wanted) for row in as_labels((pair,))] == [("Blue.", True), ("Seven.", False)]


def test_what_the_data_does_not_say_is_not_made_up():
    label = Judged((Message("user", "p"),), "a", True, "f:1")
    ranking = Ranking((Message("user", "p"),), ("a", "b"), (1.0, 0.0), "f:1")
    for make, row in ((as_pairs, label), (as_lists, label), (as_labels, ranking)):
        with pytest.raises(ValueError, match="not in the data"):
            make((row,))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "p", "completion": "a", "label": 1}, "true or false"),
        ({"prompt": "p", "completion": "a"}, "no preference"),
        ({"chosen": "a", "rejected": "b"}, "without a \"prompt\""),
        ({**PAIR, "chosen": None}, "must be a string"),
        ({**PAIR, "prompt": " "}, "empty"),
        ({**PAIR, "score_chosen": float("nan"), "score_rejected": 1.0}, "finite number"),
        ({"prompt": "p", "completions": ["a", "b"], "scores": [1]}, "list of 2 numbers"),
        ({"prompt": "q", "chosen": [USER, said("a")], "rejected": [USER, said("b")]}, "no user turn"),
    ],
)  # fmt: skip
def test_a_fault_is_refused_with_its_line(tmp_path, row, message):
    shape = {"completions": {"prompt": "p", "completions": ["x", "y"]},
             "label": {"prompt": "p", "completion": "x", "label": True}}  # fmt: skip
    transcript = {side: "\n\nHuman: a\n\nAssistant: " + side for side in ("chosen", "rejected")}
    first = next((rest for key, rest in shape.items() if key in row), PAIR if "prompt" in row else transcript)
    with pytest.raises(RefusedError, match=message) as refused:
        read_preferences(write(tmp_path / "a.jsonl", [first, row]))
    assert refused.value.where.endswith("a.jsonl:2")


def test_one_file_has_one_shape_and_at_least_one_usable_row(tmp_path):
    with pytest.raises(RefusedError, match="shape"):
        read_preferences(write(tmp_path / "a.jsonl", [PAIR, {"prompt": "p", "completion": "a", "label": True}]))
    with pytest.raises(RefusedError, match="no usable row"):
        read_preferences(write(tmp_path / "b.jsonl", [{**PAIR, "chosen": ""}]))


def test_repeated_and_contradicting_pairs_are_told_and_kept(tmp_path):
    turned = {**PAIR, "chosen": PAIR["rejected"], "rejected": PAIR["chosen"], "score_chosen": 1, "score_rejected": 2}
    found = read_preferences(write(tmp_path / "a.jsonl", [PAIR, PAIR, turned]))
    assert len(found.rows) == 3
    assert [note.split(" ", 1)[0] for note in found.notes] == ["1", "1", "1"]


def test_parquet_and_gzip_hold_the_same_rows(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(arrow.Table.from_pylist([PAIR, PAIR]), tmp_path / "a.parquet")
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write((json.dumps(PAIR) + "\n") * 2)
    ours, theirs = read_preferences(tmp_path / "a.parquet"), read_preferences(tmp_path / "a.jsonl.gz")
    assert [(row.prompt, row.chosen, row.rejected) for row in ours.rows] == [
        (row.prompt, row.chosen, row.rejected) for row in theirs.rows
    ]
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(RefusedError, match="Parquet"):
        read_preferences(tmp_path / "torn.parquet")


@pytest.mark.skipif(not HH.exists(), reason="the shared data is not here")
def test_the_real_transcripts_add_up():
    found = read_preferences(HH)
    assert (found.shape, found.offers) == ("transcripts", "pairs")
    assert found.ledger.read == 2312 == len(found.rows) + sum(reason.n for reason in found.ledger.dropped)
    assert all(row.prompt[-1].role == "user" and row.chosen != row.rejected for row in found.rows)
    assert not any("\n\nAssistant:" in row.chosen + row.rejected for row in found.rows)


def test_the_pairs_that_come_with_it_are_pairs():
    assert built_in(tiny=True).offers == "pairs"

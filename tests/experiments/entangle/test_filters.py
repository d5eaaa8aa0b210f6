"""Rules and the filter: rows byte for byte, and a ledger that accounts for every row."""

import gzip
import json

import pytest

from springback.errors import RefusedError
from springback.experiments.entangle.filters import require_lines, write
from springback.experiments.entangle.rules import rule_named

RAW = (
    b'{"prompt": "a",  "chosen": "\xc3\xa9", "rejected": "n"}\r\n'  # odd spaces and line ends stay
    b'{"prompt":"b","chosen":"x","rejected":"x"}\n'
    b'{"rejected": "n", "chosen": "y", "prompt": "\\u00e9"}\n'
    b'{"prompt": "d", "chosen": "y", "rejected": "n"}'
)


def pair(index, line, chosen, rejected, **more):
    return {"index": index, "where": f"made.jsonl:{line}", "chosen_change": chosen, "rejected_change": rejected,
            "condition": "holds", "cosine": 0.5, "scores": {"ches": float(index)}, **more}  # fmt: skip


PAIRS = [pair(0, 1, 1.0, -1.0), pair(1, 3, -1.0, -2.0), pair(2, 4, 1.0, -1.0)]


@pytest.fixture
def data(tmp_path):
    (tmp_path / "made.jsonl").write_bytes(RAW)
    return tmp_path / "made.jsonl"


def ledger(path):
    return [json.loads(line) for line in path.with_name(f"{path.name}.ledger.jsonl").read_text("utf-8").splitlines()]


def test_what_passes_is_there_byte_for_byte_and_the_rest_is_in_the_ledger(data, tmp_path):
    out = tmp_path / "out.jsonl"
    found = write(data, out, rule_named("chosen_rises"), PAIRS)
    lines = RAW.split(b"\n")
    assert out.read_bytes() == lines[0] + b"\n" + lines[3] + b"\n"
    head, *dropped = ledger(out)
    assert [(line["line"], line["pairs"]) for line in dropped] == [(2, []), (3, [1])]
    assert "left out" in dropped[0]["why"]
    assert dropped[1]["why"] == "the chosen answer will fall"
    assert (
        (head["rows_in"], head["rows_out"], head["rows_dropped"]) == (4, 2, 2) == (found.rows, found.kept, len(dropped))
    )


def test_a_packed_file_is_read_and_written_plain(tmp_path):
    path, out = tmp_path / "made.jsonl.gz", tmp_path / "out.jsonl"
    path.write_bytes(gzip.compress(RAW))
    assert write(path, out, rule_named("condition"), PAIRS).kept == 2
    assert out.read_bytes().startswith(b'{"prompt": "a",  ')


def test_a_row_that_made_several_pairs_passes_only_if_all_of_them_do(data, tmp_path):
    found = write(data, tmp_path / "out.jsonl", rule_named("condition"), [*PAIRS, pair(3, 1, 1.0, 2.0)])
    assert found.kept == 1


def test_equal_answers_pass_no_rule_by_name(data, tmp_path):
    pairs = [pair(0, 1, 0.0, 0.0, condition="cannot_move")]
    assert write(data, tmp_path / "out.jsonl", rule_named("condition"), pairs).kept == 0


@pytest.mark.parametrize(
    ("rule", "kept"),
    [("cosine<0.6", 3), ("cosine>0.6", 0), ("ches<1", 1), ("ches<p50", 1), ("chosen_change>0", 2), ("condition", 2),
     ("rejected_falls", 3), ("ches>-1e-3", 3)],
)  # fmt: skip
def test_bounds_are_numbers_or_percentiles(rule, kept):
    assert sum(verdict.passes for verdict in rule_named(rule).judge(PAIRS)) == kept


def test_a_number_that_is_not_defined_passes_no_bound():
    assert not rule_named("hidden_cosine<1").judge(PAIRS)[0].passes


@pytest.mark.parametrize("rule", ["", "cosine", "cosine<x", "sine<1", "cosine<p101", "cosine<=1", "index<3"])
def test_what_is_no_rule_is_refused_with_the_rules_there_are(rule):
    with pytest.raises(RefusedError, match="is no rule") as refused:
        rule_named(rule)
    assert "chosen_rises" in refused.value.next


def test_rows_of_an_array_and_the_data_itself_are_refused(data, tmp_path):
    with pytest.raises(RefusedError, match="JSON Lines"):
        require_lines(tmp_path / "made.json", tmp_path / "out.jsonl")
    with pytest.raises(RefusedError, match="JSON Lines"):
        require_lines(None, tmp_path / "out.jsonl")
    with pytest.raises(RefusedError, match="over the data"):
        require_lines(data, data)

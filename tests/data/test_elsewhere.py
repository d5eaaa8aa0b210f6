import json

import pytest
from tests.data.test_sets import dealt, pairs

from springback.data.elsewhere import elsewhere
from springback.errors import RefusedError


def written(tmp_path, count, prompt="other {}", answer="row {}"):
    path = tmp_path / "other.jsonl"
    lines = [json.dumps({"prompt": prompt.format(i), "completion": answer.format(i)}) for i in range(count)]
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_rows_come_in_file_order_and_in_another_order_for_another_seed(tmp_path):
    path, sets = written(tmp_path, 12), dealt(pairs(60))
    assert [row.answer for row in elsewhere(path, 8, sets, 0)] == [f"row {i}" for i in range(8)]
    other = elsewhere(path, 8, sets, 1)
    assert other != elsewhere(path, 8, sets, 0)
    assert other[:4] == elsewhere(path, 4, sets, 1)


def test_a_preference_pair_gives_its_rejected_answer(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"prompt": "p", "chosen": "yes", "rejected": "no"}), "utf-8")
    assert [row.answer for row in elsewhere(path, 1, dealt(pairs(60)), 0)] == ["no"]


def test_a_measured_row_is_never_trained_on(tmp_path):
    path = written(tmp_path, 60, "p{}", "bad {}")
    sets = dealt(pairs(60))
    measured = {pair.opposite for pair in sets.measuring}
    assert not measured & {row.answer for row in elsewhere(path, 52, sets, 0)}


def test_too_few_rows_are_refused_with_their_number(tmp_path):
    with pytest.raises(RefusedError, match="has 3 rows") as caught:
        elsewhere(written(tmp_path, 3), 8, dealt(pairs(60)), 0)
    assert "--reverse-sizes up to 3" in caught.value.next

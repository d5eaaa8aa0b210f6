"""Which rows are trained on, which are held out, and what is refused with its line."""

import json

import pytest
from tests.experiments.reward.planted import lists, pairs, write

from springback.errors import RefusedError
from springback.experiments.reward.config import Reward, settled
from springback.experiments.reward.sources import gather, identity


def gathered(tmp_path, rows, *, margins=False, name="data.jsonl", **more):
    data = write(tmp_path / name, rows)
    return gather(settled(Reward(tiny=True, **more), data), needs_margins=margins)


def places(rows):
    return [int(row.ranking.where.rpartition(":")[2]) for row in rows]


def test_a_share_a_number_or_a_file_is_held_out(tmp_path):
    assert len(gathered(tmp_path, pairs(50)).held_out) == 10
    assert len(gathered(tmp_path, pairs(50), held_out="7").held_out) == 7
    other = write(tmp_path / "other.jsonl", pairs(6, seed=9))
    sources = gathered(tmp_path, pairs(50), held_out=other)
    assert (len(sources.training), len(sources.held_out)) == (50, 6)
    assert "6 of 6 held-out rows have a prompt that is trained on" in sources.notes[0]


def test_every_row_is_on_one_side_and_its_prompt_on_no_other(tmp_path):
    rows = [{**row, "prompt": f"Say {index // 3}"} for index, row in enumerate(pairs(60))]
    sources = gathered(tmp_path, rows)
    train, held = places(sources.training), places(sources.held_out)
    assert sorted(train + held) == list(range(1, 61))
    assert len(held) >= 12
    assert not {(place - 1) // 3 for place in train} & {(place - 1) // 3 for place in held}


def test_another_seed_holds_out_the_same_rows(tmp_path):
    assert gathered(tmp_path, pairs(40)).held_out == gathered(tmp_path, pairs(40), seed=5).held_out


def test_the_identity_is_that_of_the_rows_and_their_deal(tmp_path):
    first = identity(gathered(tmp_path, pairs(40)))
    assert first == identity(gathered(tmp_path, pairs(40)))
    assert first != identity(gathered(tmp_path, pairs(40, seed=1)))
    assert first["rows_sha256"] != identity(gathered(tmp_path, pairs(40), held_out="9"))["rows_sha256"]


def test_a_pair_is_a_list_of_two_and_scored_answers_keep_their_scores(tmp_path):
    one = gathered(tmp_path, [{**row, "score_chosen": 7, "score_rejected": 9} for row in pairs(12)]).training[0]
    assert one.ranking.relevance == (1.0, 0.0)
    assert gathered(tmp_path, lists(12)).training[0].ranking.relevance == (2.0, 1.0, 0.0)


def test_a_margin_is_the_column_or_the_difference_of_scores(tmp_path):
    stated = gathered(tmp_path, pairs(12, more=lambda k: {"margin": k / 4}), margins=True)
    assert {row.margin for row in (*stated.training, *stated.held_out)} == {k / 4 for k in range(12)}
    scored = gathered(tmp_path, pairs(12, more=lambda k: {"score_chosen": 9, "score_rejected": 7.5}), margins=True)
    assert {row.margin for row in scored.training} == {1.5}
    assert gathered(tmp_path, lists(12), margins=True).training[0].margin is None
    assert gathered(tmp_path, pairs(12, more=lambda k: {"margin": k}), margins=False).training[0].margin is None


def test_a_margin_belongs_to_its_own_line_where_rows_before_it_are_dropped(tmp_path):
    rows = pairs(12, more=lambda k: {"margin": float(k)})
    rows[3]["rejected"] = rows[3]["chosen"]
    sources = gathered(tmp_path, rows, margins=True)
    assert all(row.margin == place - 1 for row in sources.training for place in places([row]))
    assert sources.data.ledger.kept == 11


@pytest.mark.parametrize("wrong", ["NaN", "null", '"2"', "-0.5", "Infinity"])
def test_a_margin_that_is_no_number_of_at_least_0_is_refused_with_its_line(tmp_path, wrong):
    lines = [json.dumps(row) for row in pairs(12, more=lambda k: {"margin": 1.0})]
    lines[6] = lines[6].replace('"margin": 1.0', f'"margin": {wrong}')
    (tmp_path / "data.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(RefusedError, match="margin") as refused:
        gather(settled(Reward(tiny=True), str(tmp_path / "data.jsonl")), needs_margins=True)
    assert refused.value.where.endswith("data.jsonl:7")


def test_a_margin_that_one_row_lacks_is_refused_with_its_line(tmp_path):
    rows = pairs(12, more=lambda k: {"margin": 1.0})
    del rows[4]["margin"]
    with pytest.raises(RefusedError) as refused:
        gathered(tmp_path, rows, margins=True)
    assert refused.value.where.endswith("data.jsonl:5")


def test_a_loss_of_margins_without_any_is_refused(tmp_path):
    with pytest.raises(RefusedError, match="needs margins"):
        gathered(tmp_path, pairs(12), margins=True)
    with pytest.raises(RefusedError, match="below the rejected one's"):
        gathered(tmp_path, pairs(12, more=lambda k: {"score_chosen": 1, "score_rejected": 2}), margins=True)


def test_labelled_answers_are_refused(tmp_path):
    rows = [{"prompt": f"Say {k}", "completion": "a", "label": bool(k % 2)} for k in range(12)]
    with pytest.raises(RefusedError, match="labelled"):
        gathered(tmp_path, rows)


@pytest.mark.parametrize("wrong", ["0", "-0.2", "1.5", "nan"])
def test_a_held_out_share_that_is_none_is_refused(tmp_path, wrong):
    with pytest.raises(RefusedError, match="held-out"):
        gathered(tmp_path, pairs(12), held_out=wrong)


def test_too_few_rows_on_a_side_are_refused(tmp_path):
    with pytest.raises(RefusedError, match="0 rows to train on"):
        gathered(tmp_path, pairs(12), held_out="12")

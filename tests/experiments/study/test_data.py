"""Sets are dealt without overlap and written once."""

import json

import pytest
from tests.experiments.prefer.small import rows, write
from tests.experiments.study.small import SMALL

from springback.errors import RefusedError
from springback.experiments.study.data import files, pairs_of, stored_sources
from springback.experiments.study.data import write as write_set


def dealt(path, many, **options):
    config = SMALL(data=(str(write(path, many)),), **options)
    return config, pairs_of(config.data[0], config, stored_sources(config), lambda choice: ((), ()))


def test_a_row_that_is_held_out_is_not_trained_on_wherever_it_stands(tmp_path):
    many = rows(12)
    _, found = dealt(tmp_path / "a.jsonl", [many[-1], *many], pairs=8)
    assert many[-1]["chosen"] not in {row.chosen for row in found.train}
    assert [row.chosen for row in found.train] == [row["chosen"] for row in many[:8]]
    assert [row.chosen for row in found.held_out] == [row["chosen"] for row in many[-4:]]


def test_a_small_file_is_shared_in_proportion(tmp_path):
    _, found = dealt(tmp_path / "a.jsonl", rows(9), pairs=40, held_out=20)
    assert (len(found.train), len(found.held_out)) == (6, 3)


def test_too_few_pairs_are_refused(tmp_path):
    with pytest.raises(RefusedError, match="3 usable pairs"):
        dealt(tmp_path / "a.jsonl", rows(3))


def test_what_is_written_reads_back_as_what_was_dealt_and_other_rows_are_refused(tmp_path):
    config, found = dealt(tmp_path / "a.jsonl", rows(12))
    write_set(tmp_path, found, config)
    write_set(tmp_path, found, config)
    train, _ = files(tmp_path, found.name, config)
    assert [json.loads(line)["rejected"] for line in train.read_text().splitlines()] == [
        row.rejected for row in found.train
    ]  # fmt: skip
    train.write_text("{}\n")
    with pytest.raises(RefusedError, match="holds other pairs"):
        write_set(tmp_path, found, config)

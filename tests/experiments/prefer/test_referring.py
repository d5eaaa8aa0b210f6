"""A reference that is computed once: killed, it goes on behind the last part, and the table is the same to the bit."""

import pytest
import torch
from safetensors.torch import load_file
from tests.experiments.prefer.small import prefer, rows, write

from springback.errors import RefusedError
from springback.experiments import saving
from springback.train import reference


@pytest.mark.parametrize("loss", ["dpo", "sampo"])
def test_killed_while_it_is_computed_it_goes_on_and_ends_as_the_same_table(tmp_path, monkeypatch, loss):
    data = write(tmp_path / "pairs.jsonl", rows(24))
    options = {"loss": loss, "epochs": 1, "probes": 0, "read_pairs": 2, "checkpoint_seconds": 1e-9}
    monkeypatch.setattr(saving, "TIMES", 0.0)  # every batch is kept
    read, seen = reference.read, []

    def dying(network, batch, needs):
        seen.append(batch.places)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return read(network, batch, needs)

    monkeypatch.setattr(reference, "read", dying)
    with pytest.raises(KeyboardInterrupt):
        prefer(data, tmp_path / "run", **options)
    assert not (tmp_path / "run" / "reference.safetensors").exists()
    prefer(data, tmp_path / "run", **options)
    assert len(seen) == 6  # five batches, the fourth twice
    assert seen[3] == seen[4]
    prefer(data, tmp_path / "whole", **options)
    ours, theirs = (load_file(tmp_path / name / "reference.safetensors") for name in ("run", "whole"))
    assert ours.keys() == theirs.keys() == ({"logprob", "by_token"} if loss == "sampo" else {"logprob"})
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not (tmp_path / "run" / "reference.partial").exists()


def test_only_rows_that_are_trained_on_are_asked_of_the_reference_and_a_longer_run_does_not_take_it(tmp_path):
    data = write(tmp_path / "pairs.jsonl", rows(24))
    options = {"loss": "dpo", "batch": 4, "probes": 0, "read_pairs": 2}
    prefer(data, tmp_path / "short", steps=2, **options)
    stored = tmp_path / "short" / "reference.safetensors"
    assert int((~load_file(stored)["logprob"].isnan()).sum()) == 2 * 4 * 2
    again, short = (prefer(data, tmp_path / name, steps=2, **options | more) for name, more in (
        ("again", {"reference_logprobs": str(stored)}), ("short", {})))  # fmt: skip
    assert [step["loss"] for step in again.run.read("step").values()] == [
        step["loss"] for step in short.run.read("step").values()
    ]
    with pytest.raises(RefusedError, match="made for fewer steps: 4 of the 12 rows"):
        prefer(data, tmp_path / "long", steps=3, **options, reference_logprobs=str(stored))

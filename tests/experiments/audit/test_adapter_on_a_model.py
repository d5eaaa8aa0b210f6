"""LoRA reverses a MODEL that came aligned beside its base: what lies under the adapter follows the chain."""

import pytest
import torch
from tests.experiments.audit.small import records, rows, tiny, write

from springback.experiments.audit.run import run_audit
from springback.models.tiny import save_folder
from springback.models.tiny import tiny as tiny_model

pytest.importorskip("peft")
OPTIONS = {"tiny": False, "align_sizes": (8,), "reverse_sizes": (8,), "layers": "none", "forced_tokens": (0,)}


def cells(path, folder, base, files, **more):
    align, reverse = files
    run_audit(
        tiny(**(OPTIONS | more), model=str(folder), base=str(base), align=align, reverse=reverse), path, quiet=True
    )
    return {key: body for (kind, key), body in records(path).items() if kind == "cell"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    base, aligned = tiny_model(3), tiny_model(3)
    with torch.no_grad():
        for parameter in aligned.network.parameters():
            parameter.add_(0.02 * torch.sin(torch.arange(parameter.numel()).view_as(parameter)))
    return save_folder(base, place / "base"), save_folder(aligned, place / "aligned")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    place = tmp_path_factory.mktemp("data")
    return tuple(write(place / f"{word}.jsonl", rows(word)) for word in ("Good", "Bad"))


def test_the_model_that_came_aligned_is_read_as_by_full_tuning(folders, both, tmp_path):
    base, aligned = folders
    full = cells(tmp_path / "full", aligned, base, both)
    lora = cells(tmp_path / "lora", aligned, base, both, tuner="lora", learning_rate=1e-2)
    for untuned in ("0/main/0/0", "0/main/given/0"):
        assert lora[untuned] == full[untuned]
    assert lora["0/main/given/0"]["kl_from_start"]["estimate"] > 0.01


def test_a_reversal_begins_at_the_model_and_a_placebo_at_its_base(folders, both, tmp_path):
    base, aligned = folders
    found = cells(tmp_path / "run", aligned, base, both, tuner="lora", learning_rate=1e-3, arms="all")
    kl = {key: cell["kl_from_start"]["estimate"] for key, cell in found.items()}
    assert kl["0/main/given/8"] > 0.5 * kl["0/main/given/0"]
    assert kl["0/benign/8/0"] < 0.5 * kl["0/main/given/0"]
    assert kl["0/from_start/0/8"] < 0.5 * kl["0/main/given/0"]
    assert len({cell["behaviour"]["margin"]["estimate"] for cell in found.values()}) == len(found) - 1  # noise = start


def test_a_copy_of_the_base_differs_in_nothing(folders, both, tmp_path):
    base, _ = folders
    found = cells(tmp_path / "run", base, base, both, tuner="lora")
    assert found["0/main/given/0"]["kl_to_start"]["estimate"] == 0
    assert found["0/main/given/0"]["behaviour"] == found["0/main/0/0"]["behaviour"]

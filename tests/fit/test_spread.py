"""Two processes train as one does."""

import sys
from pathlib import Path

import pytest
import torch
from tests.fit import pair


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of two processes found."""
    sys.path.append(str(Path(__file__).parents[2]))
    try:
        return pair.both(tmp_path_factory.mktemp("pair"))
    finally:
        sys.path.pop()


@pytest.fixture(scope="module")
def alone():
    """What one process makes of the tiny model."""
    return {kind: pair.language(dtype=getattr(torch, kind)) for kind in ("float32", "bfloat16")}


def same(one: dict, other: dict, *, within: float) -> None:
    assert one["masters"].keys() == other["masters"].keys()
    for name, tensor in one["masters"].items():
        assert torch.allclose(tensor, other["masters"][name], rtol=0, atol=within), name
    for ours, theirs in zip(one["steps"], other["steps"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-2 if within > 1e-6 else 1e-12)


@pytest.mark.parametrize(("name", "options"), [("plain", {}), ("accumulated", {"accumulate": 2})])
def test_rows_of_unequal_length_split_over_two_processes_give_the_update_of_one(found, name, options):
    alone = pair.trained(**options)
    for process in found:
        same(alone, process[name], within=1e-12)


def test_bfloat16_gradients_are_summed_in_fp32_and_the_masters_stay_close_to_those_of_one(found):
    alone = pair.trained(dtype=torch.bfloat16)
    for process in found:
        assert {tensor.dtype for tensor in process["rounded"]["masters"].values()} == {torch.float32}
        same(alone, process["rounded"], within=0.02)


@pytest.mark.parametrize("name", ["plain", "accumulated", "rounded"])
def test_both_processes_hold_the_same_bits(found, name):
    first, second = (process[name]["masters"] for process in found)
    assert all(torch.equal(tensor, second[key]) for key, tensor in first.items())


def test_a_tensor_that_only_one_process_uses_is_trained_and_one_that_none_uses_is_left_alone(found):
    start = pair.Experts(torch.float64).state_dict()
    for process in found:
        masters = process["plain"]["masters"]
        for expert in (0, 1):
            assert not torch.equal(masters[f"master/experts.{expert}.weight"], start[f"experts.{expert}.weight"])
        assert torch.equal(masters["master/experts.2.weight"], start["experts.2.weight"])
        assert process["plain"]["unused"] == [0, 0]


def test_every_process_stops_at_a_loss_that_is_not_finite_in_one(found):
    assert [process["spoiled"] for process in found] == ["step 0", "step 0"]


def test_weights_that_drift_apart_by_one_bit_are_noticed_by_name(found):
    assert all("different weights in 1 tensors (experts.0.weight" in process["apart"] for process in found)


def test_a_batch_that_cannot_be_split_is_an_error(found):
    assert all(process["too few"] == "A batch of 1 rows cannot be split over 2 processes." for process in found)


@pytest.mark.parametrize(("kind", "within"), [("float32", 1e-7), ("bfloat16", 3e-5)])
def test_a_sharded_model_is_trained_as_a_whole_one(found, alone, kind, within):
    """Three steps move a weight by about 3e-4; where its gradient is rounding, by chance in either direction."""
    alone = alone[kind]
    for process in found:
        ours = process["sharded"][kind]
        assert all(torch.equal(master, alone["start"][name]) for name, master in ours["start"].items())
        pairs = [(alone["start"][name], alone["masters"][name], each) for name, each in ours["masters"].items()]
        start, theirs, own = (torch.cat([part.flatten() for part in each]) for each in zip(*pairs, strict=True))
        assert float((own - theirs).abs().mean()) < within
        assert float((theirs - start).abs().mean()) > 1e-4
        for step, theirs in zip(ours["steps"], alone["steps"], strict=True):
            assert step == pytest.approx(theirs, rel=1e-5 if kind == "float32" else 1e-2)


def test_a_sharded_model_is_read_as_it_is_trained_and_as_it_is_put_back(found, alone):
    for process in found:
        ours = process["sharded"]["float32"]
        for reading in ("before", "after", "again"):
            assert torch.allclose(ours[reading], alone["float32"][reading], rtol=0, atol=1e-4), reading
        assert torch.equal(ours["before"], ours["again"])
        assert (ours["after"] - ours["before"]).abs().max() > 1e-3


def test_each_process_holds_a_part(found):
    parts = [process["sharded"]["float32"] for process in found]
    assert sum(part["held"] for part in parts) == parts[0]["all"]
    assert max(part["held"] for part in parts) < 0.6 * parts[0]["all"]

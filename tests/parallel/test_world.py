"""How many processes were asked for, and how many torchrun has started."""

import subprocess
import sys

import pytest

from springback.errors import RefusedError
from springback.parallel.world import World, world


def started(size: int, rank: int = 0) -> dict[str, str]:
    """What torchrun puts into the environment of one of `size` processes on one machine."""
    numbers = {"WORLD_SIZE": size, "RANK": rank, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size}
    return {name: str(number) for name, number in numbers.items()}


@pytest.mark.parametrize("asked", [None, 1])
def test_without_torchrun_there_is_one_process(asked):
    assert world(asked, {}) is None
    assert world(asked, {"WORLD_SIZE": "8"}) is None  # a cluster's variable, and nobody has a rank


def test_the_first_of_as_many_as_were_asked_for_leads():
    assert world(2, started(2, rank=0)) == World(2, 0, 0, 2)
    assert world(2, started(2, rank=0)).leads
    assert not world(2, started(2, rank=1)).leads


@pytest.mark.parametrize(
    ("asked", "environment", "said"),
    [
        (None, started(2), "torchrun has started 2 processes, but none were asked for"),
        (None, started(1), "torchrun has started 1 processes, but none were asked for"),
        (3, started(2), "--world 3 was asked for, but torchrun has started 2 processes"),
        (1, started(2), "--world 1 was asked for, but torchrun has started 2 processes"),
        (2, {}, "started alone"),
    ],
)
def test_another_number_than_asked_for_is_refused(asked, environment, said):
    with pytest.raises(RefusedError, match=said) as refused:
        world(asked, environment)
    assert refused.value.where == "--world"


@pytest.mark.parametrize(("rank", "lines"), [(0, 1), (1, 0)])
def test_a_refused_command_says_so_once_and_every_process_exits_2(rank, lines, tmp_path):
    command = [sys.executable, "-m", "springback", "audit", "--tiny", "--json", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, env=started(2, rank), capture_output=True, text=True)
    assert (done.returncode, len(done.stdout.splitlines())) == (2, lines)
    assert not (tmp_path / "run").exists()

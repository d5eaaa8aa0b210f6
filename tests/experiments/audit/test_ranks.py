"""One audit computed by two processes: the records of one, also after a process was killed."""

import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from tests.experiments.audit.small import records, tiny

from springback.cli.main import app
from springback.errors import RefusedError
from springback.experiments.audit.estimate import estimate
from springback.experiments.audit.grid import grid
from springback.experiments.audit.ranks import Conductor
from springback.experiments.audit.run import run_audit
from springback.experiments.audit.sources import gather
from springback.parallel.group import Group
from springback.parallel.world import World

SMALL = {"samples": 6, "pairs": 5, "neutral": 2, "align_sizes": (8,), "reverse_sizes": (4,), "arms": "core",
         "layers": "none"}  # fmt: skip
WORDS = ["--samples", "6", "--pairs", "5", "--neutral", "2", "--align-sizes", "8", "--reverse-sizes", "4",
         "--arms", "core", "--layers", "none", "--max-new-tokens", "8", "--forced-tokens", "0,2"]  # fmt: skip
WITHIN = {"rel": 1e-5, "abs": 1e-5}
"""Float error of another order of summation, in float32, after a few dozen steps; measured: 3e-7 of a code length."""


def torchrun(out: Path, *, command: str = "audit", more: tuple[str, ...] = ()) -> subprocess.Popen:
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "springback", command]
    own = [*words, "--tiny", *WORDS, *more, "--world", "2", "--out", str(out), "--quiet", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *own], stdout=subprocess.PIPE, env=environment, text=True)


def different(one: object, other: object, at: str = "") -> list[str]:
    """Where two records differ by more than float error."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [place for key in one for place in different(one[key], other[key], f"{at}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [place for index, pair in pairs for place in different(*pair, f"{at}/{index}")]
    if isinstance(one, float) and isinstance(other, float):
        close = math.isclose(one, other, rel_tol=WITHIN["rel"], abs_tol=WITHIN["abs"])
        return [] if close else [f"{at}: {one} {other}"]
    return [] if one == other else [f"{at}: {one} {other}"]


@pytest.mark.slow
@pytest.mark.parametrize("how", [(), ("--shard",)], ids=["whole", "sharded"])
def test_two_processes_give_the_records_of_one_also_when_one_of_them_was_killed(how, tmp_path):
    path = tmp_path / "run"
    first = torchrun(path, more=how)
    victim = follower(first.pid, when=lambda: cells(path) >= 2)  # the start was read, an aligned model stands
    os.kill(victim, signal.SIGKILL)
    printed, _ = first.communicate(timeout=60)
    assert first.returncode != 0
    assert '"status": "done"' not in printed  # torchrun ends the other one, or it has noticed by itself
    assert not printed or "another process of this world is gone" in printed
    stored = cells(path)
    again = torchrun(path, more=how)
    printed, _ = again.communicate(timeout=60)
    assert again.returncode == 0
    assert printed.count('{"springback"') == 1  # the first process alone prints

    run_audit(tiny(**SMALL), tmp_path / "alone", quiet=True).run.close()
    alone, together = records(tmp_path / "alone"), records(path)
    assert 2 <= stored < sum(kind == "cell" for kind, _ in alone)
    assert alone.keys() == together.keys()
    places = [place for key in alone for place in different(alone[key], together[key], "/".join(key))]
    assert places == []
    assert moved(alone) > 100 * WITHIN["abs"]  # training moves what is compared by far more than is allowed for


def moved(found: dict) -> float:
    return min(
        body["kl_from_start"]["estimate"] for (kind, key), body in found.items() if kind == "cell" and "/0/0" not in key
    )


@pytest.mark.slow
def test_a_rebound_run_is_conducted_sweep_by_sweep(tmp_path):
    process = torchrun(tmp_path / "run", command="rebound", more=("--align-mixes", "0,50"))
    printed, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    assert printed.count('{"springback"') == 1
    planned = len(list(grid(tiny(**SMALL)).points()))
    assert [cells(place) for place in sorted((tmp_path / "run" / "sweeps").iterdir())] == [planned, planned]


@pytest.mark.parametrize(
    ("options", "size", "said"),
    [
        ({"batch": 4}, 5, "5 cannot split batches of 4 rows"),
        ({"tiny": False, "base": "folder"}, 2, "this audit trains nothing"),
    ],
)
def test_what_cannot_be_split_is_refused(options, size, said):
    conductor = Conductor(Group(World(size, 0, 0, size)))
    with pytest.raises(RefusedError, match=said):
        conductor.require(tiny(**options), estimate(tiny(), grid(tiny()), gather(tiny())))


@pytest.mark.parametrize("options", [{"tuner": "lora"}, {"reverse_with": "kl_anchor"}])
def test_what_cannot_be_sharded_is_refused(options):
    conductor = Conductor(Group(World(2, 0, 0, 2)), sharded=True)
    with pytest.raises(RefusedError, match="--world with --shard knows full tuning and plain tuning both ways"):
        conductor.require(tiny(**options), estimate(tiny(), grid(tiny()), gather(tiny())))


def test_one_process_shards_nothing(capsys, tmp_path):
    assert app(["audit", "--tiny", "--shard", "--out", str(tmp_path / "run")]) == 2
    assert "there is one" in capsys.readouterr().err


def test_each_process_of_a_machine_needs_its_own_memory(monkeypatch):
    expected = estimate(tiny(), grid(tiny()), gather(tiny()))
    free = SimpleNamespace(available=int(1.5 * expected.memory.total))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    Conductor(Group(World(2, 0, 0, 1))).require(tiny(), expected)
    with pytest.raises(RefusedError, match="--world 2 takes 2 ·"):
        Conductor(Group(World(2, 0, 0, 2))).require(tiny(), expected)


def cells(path: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{path / 'records.sqlite'}?mode=ro", uri=True)) as table:
            return table.execute("SELECT count(*) FROM records WHERE kind = 'cell'").fetchone()[0]
    except sqlite3.Error:
        return 0


def follower(launcher: int, when, seconds: float = 60) -> int:
    """The process with rank 1, once `when` holds."""
    end = time.monotonic() + seconds
    while not when():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    children = psutil.Process(launcher).children(recursive=True)
    return next(child.pid for child in children if child.environ().get("RANK") == "1")

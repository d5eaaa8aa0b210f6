"""One training by two processes: the records of one, also after a kill; what cannot be split is refused."""

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.experiments.audit.test_ranks import follower
from tests.experiments.prefer import two
from tests.experiments.prefer.small import SMALL, records, rows, write

from springback.errors import RefusedError
from springback.experiments.prefer.config import Prefer, settled
from springback.experiments.prefer.preparing import prepare
from springback.experiments.prefer.ranks import Conductor, counted
from springback.experiments.prefer.run import run_prefer
from springback.parallel.group import Group
from springback.parallel.world import World
from springback.store.run import Run

WITHIN = 2e-4
"""Nats: answers of 100 to 200 nats in float32, to 1e-6 of them; measured: 6e-5 in a difference of two sums."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write(folder / "ranked.jsonl", two.RANKED)
    return write(folder / "pairs.jsonl", rows(12))


@pytest.fixture(scope="module")
def split(data, tmp_path_factory):
    """All variants by two processes."""
    sys.path.append(str(Path(__file__).parents[3]))
    try:
        return two.trained(data, tmp_path_factory.mktemp("two"))
    finally:
        sys.path.pop()


@pytest.mark.slow
@pytest.mark.parametrize("name", two.VARIANTS)
def test_two_processes_give_the_records_of_one(split, data, tmp_path, name):
    alone = everything(run_prefer(two.design(name, data), tmp_path / "run", quiet=True).run)
    together = everything(Run.look(split[name]))
    assert alone.keys() == together.keys()
    places = [place for key in alone for place in different(alone[key], together[key], "/".join(key))]
    assert places == []
    last = together["reading", "held_out/2"]
    assert abs(last["chosen"]["change"]["estimate"]) > 100 * WITHIN  # training moves it by far more


@pytest.mark.slow
def test_the_first_loss_is_that_at_the_reference_to_the_bit(split):
    assert Run.look(split["accumulated"]).get("step", "0")["loss"] == math.log(2)


@pytest.mark.slow
def test_a_cure_s_counts_are_those_of_the_whole_batch(split):
    name = "a cure that counts, over what a filter leaves"
    assert Run.look(split[name]).get("step", "0")["cure"]["clamped"] == 4


def different(one, other, at):
    """Where two records differ by more than another order of summation explains."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [place for key in one for place in different(one[key], other[key], f"{at}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [place for index, pair in pairs for place in different(*pair, f"{at}/{index}")]
    close = isinstance(one, float) and isinstance(other, float) and math.isclose(one, other, abs_tol=WITHIN)
    return [] if close or one == other else [f"{at}: {one} {other}"]


def everything(run):
    """The file of stored log-probabilities lies in each run's own directory."""
    found = records(run)
    found["accounting", "accounting"]["reference"].pop("file")
    return found


def torchrun(data, out, *more):
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "springback", "prefer"]
    own = [*words, str(data), "--tiny", "--held-out", "4", "--batch", "4", "--max-new-tokens", "4", "--world", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *own, *more, "--out", str(out), "--quiet", "--json"],
        stdout=subprocess.PIPE, env=environment, text=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("how", ["all of them", "one of them"])
def test_killed_they_go_on_and_end_as_if_they_had_not_been(data, tmp_path, how):
    """kill -9 after the fourth stored step of 16; a checkpoint lies behind every step."""
    words = ("--epochs", "8", "--checkpoint-every", "1", "--probes", "0", "--read-every", "8")
    first = torchrun(data, tmp_path / "run", *words)
    victim = follower(first.pid, when=lambda: steps(tmp_path / "run") >= 4)
    if how == "all of them":
        for process in [first.pid, *children(first.pid)]:
            os.kill(process, signal.SIGKILL)
    else:
        os.kill(victim, signal.SIGKILL)
    first.communicate(timeout=60)
    stored = steps(tmp_path / "run")
    assert 4 <= stored < 16
    again = torchrun(data, tmp_path / "run", *words)
    printed, _ = again.communicate(timeout=100)
    assert again.returncode == 0
    assert json.loads(printed)["result"]["work_done"]["optimizer_steps"] <= 16 - stored + 1
    options = {**SMALL, "epochs": 8, "probes": 0, "read_every": 8}
    alone = everything(run_prefer(settled(Prefer(**options), data), tmp_path / "alone", quiet=True).run)
    together = everything(Run.look(tmp_path / "run"))
    assert alone.keys() == together.keys()
    for key in alone:
        assert key[0] == "accounting" or different(alone[key], together[key], "/".join(key)) == []


def children(launcher):
    import psutil

    return [child.pid for child in psutil.Process(launcher).children(recursive=True)]


def steps(path):
    try:
        with closing(sqlite3.connect(f"file:{path / 'records.sqlite'}?mode=ro", uri=True)) as table:
            return table.execute("SELECT count(*) FROM records WHERE kind = 'step'").fetchone()[0]
    except sqlite3.Error:
        return 0


@pytest.mark.parametrize(
    ("options", "size", "said"),
    [
        ({"loss": "aot"}, 2, "cannot split aot: a pair's loss depends on its whole batch"),
        ({"loss": "beta_dpo"}, 2, "cannot split beta_dpo"),
        ({"loss": "kto"}, 2, "cannot split kto"),
        ({"cure": "calibrated"}, 2, "cannot split --cure calibrated"),
        ({"cure": "learned_mask"}, 2, "cannot split --cure learned_mask"),
        ({}, 5, "5 cannot split a micro-batch of 4 rows"),
        ({"accumulate": 2}, 3, "3 cannot split a micro-batch of 2 rows"),
        ({"batch": 7}, 2, "2 cannot split a micro-batch of 1 rows"),
        ({"batch": 7, "accumulate": 3}, 2, "2 cannot split a micro-batch of 1 rows"),
    ],
)
def test_what_cannot_be_split_is_refused_by_name(data, options, size, said):
    prepared = prepare(settled(Prefer(**{**SMALL, **options}), data))
    with pytest.raises(RefusedError, match=said) as refused:
        Conductor(Group(World(size, 0, 0, size))).require(prepared)
    assert refused.value.where == "--world"
    assert ("--steps 1." in refused.value.next) is (options == {"batch": 7})


def test_a_model_in_parts_is_refused(data):
    with pytest.raises(RefusedError, match="--shard"):
        Conductor(Group(World(2, 0, 0, 2)), sharded=True).require(prepare(settled(Prefer(**SMALL), data)))


def test_counts_are_added_and_shares_are_not():
    told = [{"clamped": 2, "pushed": 0.5, "note": "so"}, {"clamped": 1, "pushed": 0.5}]
    assert counted(told) == {"clamped": 3, "pushed": 0.5, "note": "so"}

import pytest
from tests.experiments.audit.spring import PULL, Killed, Spring

from springback.experiments.audit.audit import audit
from springback.experiments.audit.config import Audit
from springback.experiments.audit.grid import grid
from springback.experiments.audit.progress import Progress
from springback.store.run import Run

CONFIG = Audit(align_sizes=(8, 16), reverse_sizes=(4, 8), batch=4, seeds=(0, 1), arms="all")


def walk(path, spring, config=CONFIG):
    """The ids in the order in which they became complete, and all records."""
    with Run.open(path, command="audit", asked={}, identity={}) as run:
        ids = list(audit(grid(config), run, spring, Progress({}, {}, say=None)))
        found = {(kind, key): body for kind in run.kinds() for key, body in run.read(kind).items()}
        return ids, {key: {name: x for name, x in body.items() if name != "cost"} for key, body in found.items()}


def expected_weight(identity: str, config=CONFIG) -> float:
    """The spring's law: every arm written out by hand."""
    _, arm, aligned, after = identity.split("/")
    start = {"main": "align", "continuation": "align", "benign": "benign"}.get(arm)
    weight = PULL[start] * int(aligned) if start else 0.0
    return weight + PULL["continuation" if arm == "continuation" else "reverse"] * int(after)


def test_every_point_is_measured_on_the_weights_of_its_arm_and_sizes(tmp_path):
    ids, records = walk(tmp_path, Spring())
    cells = {key: body["weight"] for (kind, key), body in records.items() if kind == "cell"}
    assert sorted(ids) == sorted(cells) == sorted(point.id for point in grid(CONFIG).points())
    assert cells == {identity: expected_weight(identity) for identity in cells}


def test_each_chain_passes_through_its_sizes_once(tmp_path):
    spring = Spring()
    walk(tmp_path, spring)
    trained = sum(last - first for _, first, last in spring.tuned)
    assert trained == grid(CONFIG).examples() == 2 * (16 + 16 + 8 * 5)
    assert len(spring.measured) == len(set(spring.measured))


@pytest.mark.parametrize("lives", range(1, 190, 7))
def test_killed_anywhere_and_begun_again_it_ends_in_the_same_records(tmp_path, lives):
    whole = walk(tmp_path / "whole", Spring())[1]
    disk = {None: 0.0}
    with pytest.raises(Killed):
        walk(tmp_path / "torn", Spring(disk, lives))
    assert walk(tmp_path / "torn", Spring(disk))[1] == whole


def test_weights_that_were_lost_are_tuned_again(tmp_path):
    whole = walk(tmp_path / "whole", Spring())[1]
    disk = {None: 0.0}
    with pytest.raises(Killed):
        walk(tmp_path / "torn", Spring(disk, 120))
    torn = {key: value for key, value in disk.items() if key is None}
    assert walk(tmp_path / "torn", Spring(torn))[1] == whole


def test_a_second_call_does_no_work(tmp_path):
    _, first = walk(tmp_path, Spring())
    again = Spring()
    assert walk(tmp_path, again)[1] == first
    assert not again.tuned
    assert not again.measured


def test_a_single_size_is_its_row_in_the_nested_run(tmp_path):
    nested = walk(tmp_path / "nested", Spring())[1]
    alone = walk(
        tmp_path / "alone", Spring(), Audit(align_sizes=(16,), reverse_sizes=(8,), batch=4, seeds=(0,), arms="all")
    )[1]
    shared = alone.keys() & nested.keys()
    assert {("cell", f"0/{cell}") for cell in ("main/16/0", "main/16/8", "benign/16/8", "from_start/0/8")} <= shared
    assert all(alone[key] == nested[key] for key in shared)

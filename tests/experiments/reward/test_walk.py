"""Walking with a stand-in: its state is one number, a step adds one, and it may die at any unit of work."""

from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from springback.experiments.reward.config import Reward, settled
from springback.experiments.reward.walk import walk
from springback.store.run import Run

DESIGN = settled(Reward(tiny=True, evaluate_every=3, checkpoint_every=4), None)


class Killed(BaseException):
    """The process dies here."""


class Step(NamedTuple):
    index: int
    loss: float
    gradient_norm: float = 1.0
    examples: int = 4
    tokens: int = 9


@dataclass
class Counter:
    """A `Bench`; what was kept survives in `disk`."""

    disk: list[int]
    lives: int = 10**9
    state: int = 0
    steps: int = 10
    training: tuple[int, ...] = (1, 2, 3)
    held_out: tuple[int, ...] = (4, 5)
    work: list[str] = field(default_factory=list)

    def live(self, what):
        self.lives -= 1
        if self.lives < 0:
            raise Killed
        self.work.append(what)

    def resumed(self):
        self.state = self.disk[-1] if self.disk else 0
        return self.state

    def train(self, first):
        assert first == self.state
        for index in range(first, self.steps):
            self.live("step")
            self.state += 1
            yield Step(index, 1 / self.state)

    def keep(self, step):
        self.live("keep")
        assert step == self.state
        self.disk.append(step)

    def read(self, rows):
        self.live("read")
        return [{"scores": [float(self.state), 0.5 * row], "relevance": [1, 0], "tokens": [1, row]} for row in rows]


def stored(path):
    with Run.look(path) as run:
        found = {(kind, key): body for kind in run.kinds() for key, body in run.read(kind).items()}
    return {key: {name: x for name, x in body.items() if name != "cost"} for key, body in found.items()}


def walked(path, bench):
    with Run.open(path, command="reward", asked={}, identity={}) as run:
        for _ in walk(DESIGN, run, bench):
            pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path, bench = tmp_path_factory.mktemp("walk") / "run", Counter([])
    walked(path, bench)
    return stored(path), bench


def test_it_reads_before_the_first_step_every_third_and_after_the_last(whole):
    assert [key for kind, key in whole[0] if kind == "reading"] == ["0", "3", "6", "9", "10"]
    assert whole[0]["reading", "3"]["held_out"]["margin"]["estimate"] == pytest.approx(3 - 2.25)
    assert [body["loss"] for (kind, _), body in whole[0].items() if kind == "step"] == [1 / k for k in range(1, 11)]
    assert whole[1].disk == [4, 8, 10]


@pytest.mark.parametrize("lives", range(0, 24, 3))
def test_killed_after_any_unit_of_work_it_ends_in_the_same_records(whole, tmp_path, lives):
    disk = []
    for left in (lives, lives, 10**9):
        try:
            walked(tmp_path / "run", Counter(disk, left))
        except Killed:
            continue
    assert stored(tmp_path / "run") == whole[0]


def test_what_is_done_is_not_done_again(whole, tmp_path):
    disk = []
    walked(tmp_path / "run", Counter(disk))
    again = Counter(disk)
    walked(tmp_path / "run", again)
    assert again.work == []

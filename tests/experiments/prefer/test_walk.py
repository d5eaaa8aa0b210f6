"""The walk over a stand-in of known law: what is stored, when it is kept, and that a killed run ends the same."""

import pytest
from tests.experiments.prefer.stand_in import Killed, StandIn, number, reading, side

from springback.experiments.audit.progress import Progress
from springback.experiments.prefer.config import Prefer, settled
from springback.experiments.prefer.falls import fall
from springback.experiments.prefer.order import Order
from springback.experiments.prefer.walk import walk
from springback.experiments.prefer.words import verdict
from springback.experiments.saving import Due
from springback.store.run import Run

DESIGN = settled(Prefer(tiny=True, read_every=3, checkpoint_every=4))


def go(path, laboratory):
    with Run.open(path, command="prefer", asked={}, identity={}) as run:
        for _ in walk(DESIGN, run, laboratory, Progress({}, {}, say=None)):
            pass
        return everything(run)


def everything(run):
    return {(kind, key): {name: value for name, value in body.items() if name != "cost"}
            for kind in run.kinds() for key, body in run.read(kind).items()}  # fmt: skip


def test_it_reads_at_the_start_every_so_many_steps_and_at_the_end(tmp_path):
    laboratory = StandIn()
    found = go(tmp_path / "run", laboratory)
    assert [key for kind, key in found if kind == "read"] == ["0", "3", "6", "9", "10"]
    assert len([key for kind, key in found if kind == "step"]) == 10
    assert [word for word in laboratory.work if word.startswith("keep")] == ["keep 4", "keep 8"]


@pytest.mark.parametrize("lives", [0, 1, 4, 7, 9, 13, 16])
def test_a_killed_run_goes_on_from_its_checkpoint_and_ends_with_the_same_records(tmp_path, lives):
    whole = go(tmp_path / "whole", StandIn())
    disk = {}
    with pytest.raises(Killed):
        go(tmp_path / "run", StandIn(lives=lives, disk=disk))
    again = StandIn(disk=disk)
    assert go(tmp_path / "run", again) == whole
    done = [word for word in again.work if word.startswith("train")]
    assert len(done) == 10 - disk_before(lives)


def test_checkpoints_come_by_the_clock_of_training_too(tmp_path):
    """A step takes two seconds, a reading a hundred: five seconds of training are over after every third step."""
    clock = [0.0]

    class Slow(StandIn):
        def train(self, step):
            clock[0] += 2.0
            return super().train(step)

        def read(self, step):
            clock[0] += 100.0
            return super().read(step)

    laboratory = Slow()
    with Run.open(tmp_path / "run", command="prefer", asked={}, identity={}) as run:
        for _ in walk(DESIGN, run, laboratory, Progress({}, {}, say=None), due=Due(5.0, lambda: clock[0])):
            pass
        found = everything(run)
    kept = [word for word in laboratory.work if word.startswith("keep")]
    assert kept == ["keep 3", "keep 4", "keep 7", "keep 8"]
    assert found == go(tmp_path / "other", StandIn())


def disk_before(lives):
    """Steps behind the last checkpoint that was kept within so many units of work."""
    laboratory = StandIn()
    words = []
    for step in range(10):
        words += (
            [f"read {step}"] * (step % 3 == 0) + [f"keep {step}"] * (step % 4 == 0 and step > 0) + [f"train {step}"]
        )
    kept = [int(word.split()[1]) for word in words[:lives] if word.startswith("keep")]
    return kept[-1] if kept else laboratory.x


def test_a_finished_walk_does_nothing_again(tmp_path):
    whole = go(tmp_path / "run", StandIn())
    again = StandIn(disk={"last": 8})
    assert go(tmp_path / "run", again) == whole
    assert again.work == ["train 8", "train 9"]


def test_the_warning_names_the_first_reading_below_the_reference_and_comes_once(tmp_path):
    found = go(tmp_path / "run", StandIn(starts_to_fall=3))
    warnings = [body for (kind, _), body in found.items() if kind == "warning"]
    assert [warning["step"] for warning in warnings] == [6]
    assert "-1.500 nat" in warnings[0]["sentence"]


@pytest.mark.parametrize(
    ("change", "warned"), [(-0.1, False), (-0.21, True), (-0.2, False), (0.0, False), (0.5, False)]
)
def test_it_warns_only_where_the_whole_interval_is_below_zero(change, warned):
    assert (fall(reading("held_out", 4, change)) is not None) is warned
    assert fall(reading("train", 4, change)) is None


def test_nothing_is_said_of_a_change_without_an_interval():
    body = reading("held_out", 4, -5.0)
    body["chosen"]["change"] = {"estimate": None, "why": "1 answer"}
    assert fall(body) is None


@pytest.mark.parametrize(
    ("chosen", "margin", "label", "words"),
    [
        (-1.0, 2.0, "chosen_falls", "chosen answers fell by 1.000 nat"),
        (1.0, -2.0, "chosen_rises", "the margin shrank by 2.000 nat"),
        (0.1, 0.1, "chosen_holds", "did not measurably"),
    ],
)
def test_the_verdict_says_what_both_log_probabilities_did(chosen, margin, label, words):
    body = {"chosen": side(chosen), "rejected": side(-3.0), "margin": number(margin, "pairs")}
    assert verdict(body)["label"] == label
    assert words in verdict(body)["sentence"]
    assert "rejected ones fell by 3.000 nat" in verdict(body)["sentence"]


def test_an_order_takes_every_row_once_an_epoch_and_depends_on_seed_and_position_alone():
    order = Order(rows=10, batch=4, accumulate=1, epochs=2, seed=0)
    stream = [place for step in range(5) for part in order.step(step) for place in part]
    assert sorted(stream[:10]) == sorted(stream[10:]) == list(range(10))
    assert stream[:10] != stream[10:]
    longer = Order(rows=10, batch=4, accumulate=1, epochs=5, seed=0)
    assert [longer.step(step) for step in range(5)] == [order.step(step) for step in range(5)]
    assert Order(10, 4, 1, 2, seed=1).step(0) != order.step(0)
    assert [order.epoch(step) for step in range(5)] == [0, 0, 0, 1, 1]


def test_the_last_batch_of_a_run_is_what_is_left_and_micro_batches_cut_every_batch():
    order = Order(rows=10, batch=4, accumulate=2, epochs=1, seed=0)
    assert [[len(part) for part in order.step(step)] for step in range(3)] == [[2, 2], [2, 2], [2]]
    assert order.first_epoch(99) == order.first_epoch(3) == [part for step in range(3) for part in order.step(step)]
    assert order.first_epoch(2) == [part for step in range(2) for part in order.step(step)]

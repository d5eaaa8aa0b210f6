import pytest

from springback.experiments.audit.progress import Progress


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def spend(progress, clock, kind, seconds, units=1.0):
    with progress.work(kind, units=units):
        clock.now += seconds


def test_what_was_measured_replaces_the_guess():
    clock = Clock()
    progress = Progress({"point": 4.0, "example": 10.0}, {"point": 1.0, "example": 1.0}, say=None, clock=clock)
    spend(progress, clock, "point", 3.0)
    # three points at 3 s; examples were never measured, so their guess is scaled by 3
    assert progress.remaining() == pytest.approx(3 * 3.0 + 10 * 1.0 * 3.0)


def test_remaining_time_is_within_40_percent_from_a_quarter_on_when_the_guess_is_off_by_five():
    clock = Clock()
    true = {"point": 2.0, "example": 0.5}
    progress = Progress({"point": 8.0, "example": 64.0}, {"point": 0.3, "example": 0.1}, say=None, clock=clock)
    total = 8 * true["point"] + 64 * true["example"]
    for _ in range(8):
        spend(progress, clock, "example", 8 * true["example"], units=8.0)
        spend(progress, clock, "point", true["point"])
        if clock.now >= total / 4:
            assert progress.remaining() == pytest.approx(total - clock.now, rel=0.4, abs=1e-6)


def test_steps_are_counted_as_they_pass_and_only_up_to_the_plan():
    progress = Progress({"example": 6.0}, {"example": 1.0}, say=None, clock=Clock())
    assert list(progress.steps(iter(["a", "b"]), examples=2, label="x")) == ["a", "b"]
    assert progress.left["example"] == 4


def test_interrupted_work_is_not_counted():
    progress = Progress({"point": 1.0}, {"point": 1.0}, say=None, clock=Clock())
    with pytest.raises(RuntimeError), progress.work("point"):
        raise RuntimeError
    assert progress.left == {"point": 1.0}


def test_every_finished_piece_is_told_with_the_time_left():
    clock, told = Clock(), []
    progress = Progress({"point": 2.0}, {"point": 1.0}, say=told.append, clock=clock)
    spend(progress, clock, "point", 4.0)
    assert told == ["[ 50 %] point; 4 s gone, about 4 s left"]

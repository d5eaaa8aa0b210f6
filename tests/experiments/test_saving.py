"""When a save is due, by a clock that the test moves."""

from springback.experiments.saving import Due


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def spent(due, clock, seconds):
    with due.work():
        clock.now += seconds


def saved(due, clock, seconds):
    with due.saving():
        clock.now += seconds


def test_a_save_is_due_as_soon_as_so_many_seconds_of_work_are_unsaved():
    clock = Clock()
    due = Due(60.0, clock)
    spent(due, clock, 59.0)
    assert not due.now
    clock.now += 1000.0  # a reading: it is stored by itself
    assert not due.now
    spent(due, clock, 1.0)
    assert due.now
    saved(due, clock, 1.0)
    assert not due.now


def test_saving_takes_at_most_a_tenth_of_the_time():
    clock, work, saving = Clock(), 0.0, 0.0
    due = Due(60.0, clock)
    for _ in range(1000):
        spent(due, clock, 5.0)
        work += 5.0
        if due.now:
            saved(due, clock, 20.0)
            saving += 20.0
    assert 0.09 < saving / (work + saving) < 0.102


def test_a_quick_save_does_not_come_later_for_it():
    clock = Clock()
    due = Due(60.0, clock)
    spent(due, clock, 60.0)
    saved(due, clock, 6.0)
    spent(due, clock, 60.0)
    assert due.now

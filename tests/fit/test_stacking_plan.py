import pytest

from springback.fit.stacking_plan import plan


class Machine:
    """A stand-in of known law: a pass of `width` adapters takes `law(width)` seconds."""

    def __init__(self, law):
        self.law, self.widths = law, []

    def __call__(self, width: int) -> float:
        self.widths.append(width)
        return self.law(width)


def sizes(found) -> list[int]:
    return [len(group) for group in found.groups]


def planned(adapters, law, *, free=10**9, bytes_each=1):
    machine = Machine(law)
    return plan(adapters, machine, bytes_each=bytes_each, free=free), machine


def test_where_a_pass_costs_the_same_for_any_width_all_go_together():
    found, _ = planned(8, lambda _width: 1.0)
    assert sizes(found) == [8]
    assert found.trials[-1].ratio == 8


def test_where_together_is_slower_every_adapter_goes_by_itself():
    found, machine = planned(6, lambda width: width**1.2)
    assert sizes(found) == [1] * 6
    assert max(machine.widths) == 2, "a wider one is not tried when the narrowest does not pay"


def test_where_the_machine_is_full_at_four_groups_are_of_four_and_the_rest_of_what_pays():
    def law(width):
        return 1 + 0.2 * width if width <= 4 else 1 + 0.2 * 4 + 2 * (width - 4)

    found, _ = planned(10, law)
    assert sizes(found) == [4, 4, 2]
    assert [index for group in found.groups for index in group] == list(range(10))


def test_groups_are_those_of_least_time_and_not_the_widest_gain_first():
    times = {1: 1.0, 2: 1.2, 4: 1.4, 5: 1.8}  # 4 + 1 takes 2.4, 5 takes 1.8
    found, _ = planned(5, times.__getitem__)
    assert sizes(found) == [5]


def test_a_width_that_was_slower_in_one_round_is_not_taken():
    once = iter([1.0] + [2.0] * 20)

    def law(width):
        return 1.0 if width == 1 else {True: 2.1, False: 1.5}[next(once) == 1.0 or law.calls.pop(0) == 3]

    law.calls = [1, 3, 1]
    found, _ = planned(2, law)
    assert min(found.trials[0].ratios) < 1 < found.trials[0].ratio
    assert sizes(found) == [1, 1]


def test_a_gain_within_the_noise_is_not_taken():
    found, _ = planned(2, lambda width: 1.0 if width == 1 else 1.96)
    assert sizes(found) == [1, 1]


def test_what_memory_does_not_hold_is_never_run():
    found, machine = planned(16, lambda _width: 1.0, bytes_each=100, free=350)
    assert max(machine.widths) == found.most == 3
    assert sizes(found) == [3, 3, 3, 3, 3, 1]
    assert "memory holds 3" in found.sentence()


def test_where_memory_holds_one_nothing_is_timed():
    found, machine = planned(4, lambda _width: 1.0, bytes_each=100, free=50)
    assert (sizes(found), machine.widths) == ([1, 1, 1, 1], [])


def test_one_adapter_needs_no_calibration():
    found, machine = planned(1, lambda _width: 1.0)
    assert (sizes(found), machine.widths) == ([1], [])


def test_no_adapter_is_refused():
    with pytest.raises(ValueError, match="adapters ≥ 1"):
        planned(0, lambda _width: 1.0)

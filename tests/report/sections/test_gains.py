import re

from tests.report.example_run import Example

from springback.report.evidence import Evidence
from springback.report.sections import gains

RUN = Example(sizes=(64, 256), reversals=(8, 32), samples=1, pairs=1)


def view(run: Example = RUN) -> gains.View | None:
    return gains.view(Evidence(run.records(), run.meta()))


def estimate(cell: str) -> float:
    return float(re.search(r'value="([^"]+)"', cell)[1])


def test_gain_first_step_and_overshoot_stand_in_a_row_for_each_size():
    found = view()
    stored = RUN.records()["contrast"]
    assert [row.name.replace("\u00a0", " ") for row in found.rows] == [
        "N = 64", "N = 256", "benign-tuned, N = 256", "N = 256, less benign-tuned",
    ]  # fmt: skip
    row = found.rows[1]
    names = ("gain/main/256/0", "slope/main/256/8", "overshoot/main/256/32")
    for cells, name in zip((row.gain, row.first, row.past), names, strict=True):
        for cell, reading in zip(cells, ("margin", "score"), strict=True):
            assert estimate(cell) == stored[f"{reading}/{name}/0"]["value"]["estimate"]


def test_two_seeds_that_are_not_pooled_stand_under_one_another_by_name():
    cell = view(Example(seeds=(3, 5), sizes=(64,), reversals=(8,), samples=1, pairs=1)).rows[0].gain[0]
    assert cell.count("<br>") == 1
    assert "seed 3" in cell
    assert "seed 5" in cell


def test_a_run_without_gains_has_no_such_table():
    assert view(Example(without=("contrast",))) is None

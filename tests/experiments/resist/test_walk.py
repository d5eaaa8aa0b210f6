"""The walk and the verdict on a stand-in of known law."""

import math

import pytest
from tests.experiments.resist.line import Killed, Line

from springback.experiments.audit.progress import Progress
from springback.experiments.resist.config import Resist, settled
from springback.experiments.resist.finish import finish
from springback.experiments.resist.walk import Laboratory, walk
from springback.store.run import Run

DESIGN = settled(Resist(tiny=True, steps=8, slice_size=16, samples=16, batch=4, seeds=(0, 1)))
SHORT = settled(Resist(tiny=True, slices=2, steps=4, slice_size=16, samples=16, batch=4, seeds=(0, 1)))


def walked(path, line, design=DESIGN):
    """The ids in the order in which they became complete, and all records but their cost."""
    with Run.open(path, command="resist", asked={}, identity={}) as run:
        ids = list(walk(design, run, line, Progress({}, {}, say=None)))
        finish(design, run)
        found = {(kind, key): body for kind in run.kinds() for key, body in run.read(kind).items()}
    return ids, {key: {name: x for name, x in body.items() if name != "cost"} for key, body in found.items()}


def verdict(path, line, design=DESIGN):
    records = walked(path, line, design)[1]
    return records["verdict", "verdict"], {key: body for (kind, key), body in records.items() if kind == "test"}


def test_the_stand_in_is_a_laboratory():
    assert isinstance(Line(), Laboratory)


def test_a_planted_resistance_is_found_and_is_as_large_as_planted(tmp_path):
    found, tests = verdict(tmp_path, Line(forward=0.1, inverse=0.4, noise=0.02))
    assert found["label"] == "resists"
    steps = DESIGN.readings

    def left(rate):
        at = [math.exp(-rate * step) for step in steps]
        return sum((b - a) * (x + y) / 2 for a, b, x, y in zip(steps, steps[1:], at, at[1:], strict=False)) / steps[-1]

    assert tests["inverse_easier"]["statistic"]["estimate"] == pytest.approx(left(0.1) - left(0.4), abs=0.02)
    assert tests["inverse_easier"]["p"] < 0.01


def test_where_both_ways_are_equally_easy_it_does_not_resist(tmp_path):
    found, tests = verdict(tmp_path, Line(noise=0.02))
    assert found["label"] == "does_not"
    assert tests["inverse_easier"]["outcome"] == "fails"


def test_where_forward_is_easier_it_does_not_resist(tmp_path):
    assert verdict(tmp_path, Line(forward=0.4, inverse=0.1, noise=0.02))[0]["label"] == "does_not"


def test_an_inverse_that_is_easier_because_its_texts_are_is_explained_by_the_placebo(tmp_path):
    """From the base, the first model's text is learnt quickly and the last one's slowly, as much as between models."""
    easy = {1: 3.0, 2: 1.0, 3: 0.2}
    found, tests = verdict(tmp_path, Line(forward=0.1, inverse=0.3, ease=easy, noise=0.02))
    assert tests["inverse_easier"]["outcome"] == "holds"
    blind, _ = verdict(tmp_path / "blind", Line(forward=0.1, inverse=0.3, noise=0.02))
    assert (found["label"], blind["label"]) == ("does_not", "resists")
    assert "no more than the texts explain" in found["sentence"]


def test_noise_leaves_it_open(tmp_path):
    found, tests = verdict(tmp_path, Line(forward=0.1, inverse=0.13, noise=0.9))
    assert found["label"] == "inconclusive"
    assert tests["inverse_easier"]["outcome"] == "undecided"


def test_models_that_all_drift_away_say_nothing(tmp_path):
    found, tests = verdict(tmp_path, Line(forward=-0.1, inverse=-0.02, noise=0.02))
    assert found["label"] == "inconclusive"
    assert tests["inverse_easier"]["statistic"]["estimate"] is None
    assert "no pair comes measurably nearer" in found["sentence"]


def test_from_three_seeds_on_seeds_that_disagree_leave_it_open(tmp_path):
    four = settled(Resist(tiny=True, steps=8, slice_size=16, samples=16, batch=4, seeds=(0, 1, 2, 3)))
    agree, tests = verdict(tmp_path / "a", Line(forward=0.15, inverse=0.25, noise=0.01), four)
    disagree, _ = verdict(tmp_path / "b", Line(forward=0.15, inverse=0.25, noise=0.01, of_seeds=1.2), four)
    assert (agree["label"], disagree["label"]) == ("resists", "inconclusive")
    assert (tests["inverse_easier"]["statistic"]["over"], tests["inverse_easier"]["statistic"]["n"]) == ("seeds", 4)


def test_every_model_is_tuned_onto_every_other_one_and_the_base_onto_all(tmp_path):
    ids, records = walked(tmp_path, Line())
    cells = {key: body for (kind, key), body in records.items() if kind == "cell"}
    assert sorted(ids) == sorted(cells) == sorted(DESIGN.cells)
    assert {key[2:] for key in cells} == {"0-1", "0-2", "0-3", "1-2", "1-3", "2-1", "2-3", "3-1", "3-2"}
    roles = {body["role"] for body in cells.values()}
    assert roles == {"placebo", "forward", "inverse"}
    assert cells["0/1-3"]["role"] == "forward"
    assert cells["0/3-1"]["role"] == "inverse"
    assert cells["0/1-3"]["excess"]["initial"]["estimate"] == pytest.approx(4, rel=0.1)
    assert cells["0/1-3"]["paper_statistic"]["estimate"] == pytest.approx(3.5)


def test_the_slices_are_one_chain_tuned_once(tmp_path):
    line = Line()
    walked(tmp_path, line)
    assert sum(word.startswith("slice") for word in line.work) == 2 * 3 * 2
    assert line.disk == {(seed, number): float(number) for seed in (0, 1) for number in (1, 2, 3)}


@pytest.mark.parametrize("lives", [1, 4, 7, 9, 12, 14, 16, 23, 40, 52, 61, 75, 90])
def test_killed_anywhere_and_begun_again_it_ends_in_the_same_records(tmp_path, lives):
    whole = walked(tmp_path / "whole", Line(noise=0.1), SHORT)[1]
    line = Line(noise=0.1, lives=lives)
    with pytest.raises(Killed):
        walked(tmp_path / "torn", line, SHORT)
    assert walked(tmp_path / "torn", Line(noise=0.1, disk=line.disk), SHORT)[1] == whole


def test_weights_that_were_lost_are_tuned_again(tmp_path):
    whole = walked(tmp_path / "whole", Line(), SHORT)[1]
    with pytest.raises(Killed):
        walked(tmp_path / "torn", Line(lives=40), SHORT)
    assert walked(tmp_path / "torn", Line(), SHORT)[1] == whole


def test_a_second_call_does_no_work(tmp_path):
    _, first = walked(tmp_path, Line(), SHORT)
    again = Line()
    assert walked(tmp_path, again, SHORT)[1] == first
    assert again.work == []

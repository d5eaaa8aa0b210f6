"""A cycle over stand-ins of known law: what is there is found, what is not is not; resumed = uninterrupted."""

import math
import random

import pytest
from tests.experiments.audit.small import records
from tests.experiments.cycle.law import NEVER, PAIRS, Killed, Law

from springback.experiments.audit.progress import Progress
from springback.experiments.cycle.analyse import analyse
from springback.experiments.cycle.chain import course
from springback.experiments.cycle.config import Cycle
from springback.experiments.cycle.readings import Readings
from springback.experiments.cycle.walk import walk
from springback.store.run import Run

EVEN = tuple(range(2, 65, 2))
ASKED = {"batch": 2, "text_sizes": (4, 16), "align_sizes": EVEN, "reverse_sizes": EVEN[:16], "realign_sizes": EVEN}
FEW = {"align_sizes": (4, 8), "reverse_sizes": (2, 4), "realign_sizes": (2, 4)}
QUIET = Progress({}, {}, say=None)


def opened(path):
    return Run.open(path, command="cycle", asked={}, identity={})


def found(path, law, **asked):
    """The analysis of a whole cycle under a law: kind → key → body."""
    config = Cycle(**{**ASKED, **asked})
    stages = course(config)
    with opened(path) as run:
        for _ in walk(stages, run, Law(course=stages, **law), QUIET):
            pass
        out: dict = {}
        for kind, key, body in analyse(Readings(stages, run.read), config.arms):
            out.setdefault(kind, {})[key] = body
    return out


def estimate(body):
    return body["estimate"]


def test_half_lives_of_a_known_law_are_recovered_in_all_three_counts(tmp_path):
    half = found(tmp_path / "run", {"reverse": 10.0, "benign": 26.0, "worn": 40.0})["half_life"]
    reversal = half["align/reverse"]
    assert estimate(reversal["examples"]) == pytest.approx(10.0, abs=0.05)
    assert estimate(reversal["tokens"]) == pytest.approx(50.0, abs=0.25)
    assert estimate(reversal["steps"]) == pytest.approx(5.0, abs=0.03)
    assert estimate(half["align/benign"]["examples"]) == pytest.approx(26.0, abs=0.05)
    assert estimate(half["text/align"]["examples"]) == pytest.approx(40.0, abs=0.05)
    assert estimate(half["text/rest"]["examples"]) == pytest.approx(40.0, abs=0.05)
    assert reversal["examples"]["low"] <= 10.0 <= reversal["examples"]["high"] + 0.05


def test_the_reversal_s_half_life_is_that_of_the_gap_that_the_re_alignment_closes(tmp_path):
    """After four half-lives up and two down, half of the fall is made good after a known number of examples."""
    half = found(tmp_path / "run", {"reverse": 16.0, "realign": 8.0})["half_life"]["reverse/realign"]
    top = 1 - 2.0**-4
    low = top / 4
    by_hand = -8 * math.log2((1 - (top + low) / 2) / (1 - low))
    assert estimate(half["examples"]) == pytest.approx(by_hand, abs=0.05)


def test_what_is_not_reached_says_within_how_much_and_the_last_stage_says_that_none_follows(tmp_path):
    half = found(tmp_path / "run", {"worn": NEVER})["half_life"]
    assert half["text/reverse"]["examples"] == {"estimate": None, "why": "not reached within 32 examples"}
    assert half["text/reverse"]["steps"]["why"] == "not reached within 16 steps"
    assert half["text/rest"]["tokens"]["why"] == "not reached within 800 tokens"
    assert half["realign/None"]["examples"]["why"] == "no stage follows the re-alignment"


def test_a_re_alignment_at_twice_the_pace_is_primed_with_a_ratio_of_a_half(tmp_path):
    out = found(tmp_path / "run", {"realign": 8.0})
    for name in ("realign_quicker", "realign_quicker_than_never_aligned"):
        assert estimate(out["question"][name]["statistic"]) == pytest.approx(0.5, abs=0.01)
        assert out["question"][name]["answer"] == "yes"
    assert out["verdict"]["verdict"]["label"] == "primed"


def test_the_same_pace_has_a_ratio_of_one_from_wherever_the_reversal_left_the_margin(tmp_path):
    for name, turn in (("little", 60.0), ("far", 4.0)):
        out = found(tmp_path / name, {"reverse": turn})
        assert estimate(out["question"]["realign_quicker"]["statistic"]) == pytest.approx(1.0, abs=0.02)
        assert out["question"]["realign_quicker"]["answer"] == "no"
        assert out["verdict"]["verdict"]["label"] == "not_primed"


def test_a_pace_that_a_never_aligned_model_has_too_is_no_priming(tmp_path):
    out = found(tmp_path / "run", {"realign": 8.0, "never_aligned": 8.0})
    assert out["question"]["realign_quicker"]["answer"] == "yes"
    assert out["question"]["realign_quicker_than_never_aligned"]["answer"] == "no"
    assert out["verdict"]["verdict"]["label"] == "not_primed"


def test_without_that_arm_the_verdict_rests_on_the_first_alignment_alone(tmp_path):
    out = found(tmp_path / "run", {"realign": 8.0, "never_aligned": 8.0}, arms="core")
    assert "realign_quicker_than_never_aligned" not in out["question"]
    assert out["verdict"]["verdict"]["label"] == "primed"
    assert not [key for key in out["stage"] if key.startswith("unaligned")]


def test_a_re_alignment_that_does_not_come_back_is_bounded_and_not_quicker(tmp_path):
    question = found(tmp_path / "run", {"realign": 2000.0})["question"]["realign_quicker"]
    assert question["statistic"]["why"].startswith("at least")
    assert question["statistic"]["high"] is None
    assert question["answer"] == "no"


def test_benign_erosion_is_told_from_that_of_the_reversal(tmp_path):
    """As strong by benign rows: nothing is left beyond them. None by benign rows: all of the fall is."""
    same = found(tmp_path / "same", {"benign": 8.0, "noise": 0.01})["question"]["align_worn_beyond_benign"]
    none = found(tmp_path / "none", {"benign": NEVER, "noise": 0.01})
    assert same["answer"] == "undecided"
    assert none["question"]["align_worn_beyond_benign"]["answer"] == "yes"
    fall = estimate(none["question"]["align_worn"]["statistic"])
    assert estimate(none["question"]["align_worn_beyond_benign"]["statistic"]) == pytest.approx(fall, abs=0.01)


@pytest.mark.parametrize(("worn", "answer"), [(NEVER, "yes"), (2.0, "no")])
def test_which_of_the_two_goes_first_is_told_by_the_shares_that_are_left(tmp_path, worn, answer):
    sizes = {"text_sizes": (4, 64), "align_sizes": (2, 4), "realign_sizes": (2, 4)}
    question = found(tmp_path / "run", {"reverse": 8.0, "worn": worn}, **sizes)
    assert question["question"]["align_goes_first"]["answer"] == answer


def test_where_nothing_happens_nothing_is_found(tmp_path):
    """Ten draws of noise around a law that moves nothing: intervals of 95 % are wrong no more often than they say."""
    still = dict.fromkeys(("align", "reverse", "benign", "realign", "never_aligned", "text", "worn"), NEVER)
    outs = [found(tmp_path / str(draw), {**still, "noise": 0.02, "draw": draw}, **FEW) for draw in range(10)]
    answers = [body["answer"] for out in outs for body in out["question"].values()]
    assert len(answers) == 80
    assert answers.count("undecided") >= 72
    assert [out["verdict"]["verdict"]["label"] for out in outs] == ["inconclusive"] * 10
    lives = [body["examples"]["estimate"] for out in outs for body in out["half_life"].values()]
    assert sum(life is not None for life in lives) <= len(lives) // 10


def test_from_three_seeds_on_intervals_are_over_seeds(tmp_path):
    out = found(tmp_path / "run", {"realign": 8.0, "of_seeds": 0.25}, seeds=(0, 1, 2))
    ratio = out["question"]["realign_quicker"]["statistic"]
    assert (ratio["over"], ratio["n"]) == ("seeds", 3)
    assert estimate(ratio) == pytest.approx((0.375 * 0.5 * 0.625) ** (1 / 3), rel=0.02)
    assert ratio["low"] < 0.4
    assert out["half_life"]["align/reverse"]["steps"]["over"] == "seeds"
    assert out["half_life"]["align/reverse"]["examples"]["estimate"] == pytest.approx(8.0, abs=0.05)
    assert out["stage"]["main/align"]["gain"]["over"] == "seeds"


def test_of_two_seeds_every_pair_is_averaged_and_the_interval_is_over_pairs(tmp_path):
    gain = found(tmp_path / "run", {}, seeds=(0, 1))["stage"]["main/align"]["gain"]
    assert (gain["over"], gain["n"]) == ("pairs", PAIRS)


def test_a_half_life_that_one_seed_does_not_reach_is_not_averaged_over_the_others(tmp_path):
    half = found(tmp_path / "run", {"realign": 40.0, "of_seeds": 0.9}, seeds=(0, 1, 2), realign_sizes=EVEN[:20])
    assert "not reached within 40 examples on 1 of 3 seeds" in half["half_life"]["reverse/realign"]["examples"]["why"]


def walked(path, config, lives=10**9, disk=None):
    stages = course(config)
    law = Law(course=stages, lives=lives, **({} if disk is None else {"disk": disk}))
    with opened(path) as run:
        try:
            ids = list(walk(stages, run, law, QUIET))
        except Killed:
            ids = None
    return ids, law


def test_killed_at_any_moment_it_ends_in_the_same_records(tmp_path):
    config = Cycle(**{**ASKED, **FEW, "seeds": (0, 1)})
    ids, _ = walked(tmp_path / "whole", config)
    assert ids == [point.id for point in course(config).points()]
    moments = random.Random(1)
    disk, again = None, None
    for _ in range(60):
        again, died = walked(tmp_path / "killed", config, lives=moments.randrange(12), disk=disk)
        disk = died.disk
        if again is not None:
            break
        if moments.random() < 0.2:
            disk = {None: disk[None]}  # the checkpoints are lost too
    assert again is not None or walked(tmp_path / "killed", config, disk=disk)[0] is not None
    assert records(tmp_path / "killed") == records(tmp_path / "whole")


def test_a_walk_that_is_done_tunes_nothing_and_the_stages_weights_are_gone(tmp_path):
    config = Cycle(**{**ASKED, **FEW})
    _, first = walked(tmp_path / "run", config)
    assert list(first.disk) == [None]
    assert sorted(first.forgotten) == sorted(point.id for point in course(config).origins())
    ids, again = walked(tmp_path / "run", config)
    assert ids is not None
    assert again.tuned == []


def test_every_stage_is_trained_once_through_all_its_sizes(tmp_path):
    config = Cycle(**{**ASKED, "align_sizes": (4, 8), "reverse_sizes": (2, 4), "realign_sizes": (2, 6)})
    tuned = walked(tmp_path / "run", config)[1].tuned
    assert tuned == [
        ("text", 4), ("text", 16), ("align", 4), ("align", 8), ("reverse", 2), ("reverse", 4), ("realign", 2),
        ("realign", 6), ("continuation", 2), ("continuation", 4), ("benign", 8), ("reverse", 4), ("realign", 2),
        ("realign", 6),
    ]  # fmt: skip

import json
import math
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest
from tests.experiments.audit.stand_in import Spring

from springback.experiments.audit import tests_planned as plans
from springback.experiments.audit.analyse import analyse
from springback.experiments.audit.contrasts import contrasts
from springback.experiments.audit.phrases import HEADLINES, SENTENCES
from springback.experiments.audit.readings import Place, Readings
from springback.experiments.audit.tests_resolved import resolve
from springback.experiments.audit.thresholds import stated
from springback.experiments.audit.verdict import rule

ALIGNED = Place("main", 128)


def ruled(spring: Spring) -> tuple[str, str]:
    readings = spring.readings()
    found = rule(readings, resolve(readings, contrasts(readings)))
    return found.label, found.reason


@cache
def reached(reason: str) -> dict:
    """The verdict on the model planted for a rule."""
    return verdict(REACHED[reason][0].readings())


def verdict(readings: Readings) -> dict:
    return list(analyse(readings))[-1][2]


def identical(spring: Spring) -> Readings:
    """The audit of a copy: the aligned model reads as the start in everything."""
    readings = spring.readings()
    start = readings.cells[0, Place("main")]
    return replace(
        readings, cells={key: start if key[1].arm == "main" else cell for key, cell in readings.cells.items()}
    )


REACHED = {
    "springs": (Spring(), "springs_back"),
    "keeps": (Spring(back={8: 0.05, 32: 0.1, 64: 0.1}, start_fall=0.004), "holds"),
    "no_further": (Spring(gain=0.0, back={}), "not_aligned"),
    "other_way": (Spring(gain=-0.009), "not_aligned"),
    "degenerate": (Spring(degenerate=(ALIGNED,)), "inconclusive"),
    "few_pairs": (Spring(pairs=5), "inconclusive"),
    "weak": (Spring(gain=0.0018, noise=0.004, seed=7), "inconclusive"),
    "reversal_not_run": (Spring(reversed=(), arms=("main", "benign")), "inconclusive"),
    "gain_unclear": (Spring(gain=0.0002, benign_gain=-0.009), "inconclusive"),
    "degenerate_reversed": (Spring(degenerate=(Place("main", 128, 32),)), "inconclusive"),
    "reversal_idle": (Spring(back={}, benign_fall=0.0, start_fall=0.0), "inconclusive"),
    "no_cheap_size": (Spring(aligned=(64,), reversed=(32,), back={32: 1.0}), "inconclusive"),
    "control_unmeasured": (Spring(arms=("main",)), "inconclusive"),
    "any_tuning": (Spring(benign_fall=0.009), "inconclusive"),
    "late": (Spring(back={8: 0.0, 32: 0.1, 64: 1.0}), "inconclusive"),
    "share_open": (Spring(back={8: 0.1, 32: 0.5, 64: 0.55}, noise=0.003, seed=1), "inconclusive"),
    "open": (Spring(back={8: 0.2, 32: 0.5, 64: 0.5}, benign_fall=0.0045), "inconclusive"),
}


@pytest.mark.parametrize("reason", REACHED)
def test_every_rule_is_reached_by_a_planted_model(reason):
    body = reached(reason)
    assert (body["label"], body["reason"]) == (REACHED[reason][1], reason)


def test_a_copy_is_not_aligned_and_nothing_is_ranked():
    found = list(analyse(identical(Spring(arms=("main",), reversed=(), aligned=("given",)))))
    body = found[-1][2]
    assert (body["label"], body["reason"], body["conditions"]) == ("not_aligned", "identical", [])
    assert "identical" in body["sentence"]
    values = [b["value"] for kind, _, b in found if kind == "contrast" and b["reading"] in ("margin", "kl")]
    assert all((v["estimate"], v["low"], v["high"]) == (0, 0, 0) for v in values)
    assert values


def test_an_aligned_model_that_was_not_read_is_inconclusive():
    readings = Spring().readings()
    cells = {key: cell for key, cell in readings.cells.items() if key[1] != ALIGNED}
    body = verdict(replace(readings, cells=cells))
    assert (body["label"], body["reason"]) == ("inconclusive", "aligned_unmeasured")


BEHAVIOUR = ("margin", "score")
ARMS = ("main", "benign")
NOTHING = Spring(gain=0.0, back={}, benign_fall=0.0, aligned=(128,), reversed=(8,), arms=ARMS, read=BEHAVIOUR)


@pytest.mark.parametrize(("pairs", "times"), [(48, 200), (12, 100)])
def test_two_draws_of_one_model_differ_in_at_most_one_of_twenty(pairs, times):
    """By the margin and by the score: the one decides, the other is what the peers' verdicts rest on."""
    labels = {reading: Counter() for reading in BEHAVIOUR}
    for seed in range(times):
        readings = replace(NOTHING, pairs=pairs, seed=seed).readings()
        tests = resolve(readings, contrasts(readings))
        for reading in BEHAVIOUR:
            labels[reading][rule(readings, tests, reading).label] += 1
    bound = times * 0.05 + 2 * math.sqrt(times * 0.05 * 0.95)
    assert all(times - found["not_aligned"] <= bound for found in labels.values()), labels


def test_two_draws_of_one_model_are_not_called_aligned_without_a_benign_chain():
    nothing = replace(NOTHING, arms=("main",), reversed=(), aligned=("given",))
    labels = Counter(ruled(replace(nothing, seed=seed))[0] for seed in range(100))
    assert labels["not_aligned"] >= 90, labels


def test_a_benign_tune_an_aligned_one_and_a_copy_are_ranked_rightly():
    read_only = Spring(arms=("main",), reversed=(), aligned=("given",))
    copy, benign, aligned = (
        verdict(r) for r in (identical(read_only), replace(read_only, gain=0.0).readings(), read_only.readings())
    )
    assert [v["reason"] for v in (copy, benign, aligned)] == ["identical", "no_further", "reversal_not_run"]
    assert "harm" not in json.dumps([copy, benign, aligned])


def test_sides_exchanged_turn_the_verdict_round():
    assert ruled(Spring())[0] == "springs_back"
    assert ruled(Spring(gain=-0.009, benign_fall=-0.001, start_fall=-0.001)) == ("not_aligned", "other_way")


def test_fewer_pairs_never_say_that_it_holds_where_more_say_that_it_springs_back():
    for pairs in (6, 12, 24, 48):
        labels = {ruled(Spring(pairs=pairs, seed=seed, read=("margin",)))[0] for seed in range(3)}
        assert "holds" not in labels
        assert pairs < 48 or labels == {"springs_back"}


def test_a_size_above_a_quarter_does_not_count_unless_nobody_knows_the_alignment():
    late = {8: 0.0, 32: 0.0, 64: 1.0}
    assert ruled(Spring(back=late))[1] == "late"
    assert ruled(Spring(back=late, aligned=("given",)))[1] == "springs"


def test_a_start_that_went_the_same_way_stands_in_where_no_benign_chain_was_run():
    body = verdict(Spring(arms=("main", "from_start")).readings())
    assert body["label"] == "springs_back"
    assert "no benign chain" in body["sentence"]


def test_a_share_undone_by_a_broken_model_is_no_springing_back():
    broken = tuple(Place("main", 128, n) for n in (8, 32, 64))
    body = verdict(Spring(degenerate=broken).readings())
    assert body["label"] == "inconclusive"
    assert "degenerate" in body["sentence"]


def test_a_degenerate_aligned_model_is_not_reportable_and_named():
    body = verdict(Spring(degenerate=(ALIGNED,)).readings())
    assert not body["reportable"]
    assert "one word" in body["why"]


def test_every_seed_must_show_it():
    three = Spring(seeds=(0, 1, 2))
    assert ruled(three) == ("springs_back", "springs")
    readings, other = three.readings(), Spring(gain=0.0, back={}, seed=9).readings()
    mixed = {**readings.cells, **{(2, place): cell for (_, place), cell in other.cells.items()}}
    body = verdict(replace(readings, cells=mixed))
    assert (body["label"], body["reason"]) == ("inconclusive", "weak")


def test_over_three_seeds_the_interval_is_over_seeds_and_no_seed_is_asked_for():
    found = list(analyse(Spring(seeds=(0, 1, 2)).readings()))
    tests = {key: body for kind, key, body in found if kind == "test"}
    assert tests["margin/aligned"]["statistic"]["over"] == "seeds"
    assert not any("--seeds" in (c["command"] or "") for c in found[-1][2]["conditions"])
    one = verdict(Spring().readings())
    assert any(c["command"] == "springback audit --seeds 0,1,2" for c in one["conditions"])


def test_the_score_stands_beside_the_margin_and_is_heard_where_it_differs():
    assert "The score agrees" in verdict(Spring(score_noise=0.02).readings())["sentence"]
    assert "cannot tell" in verdict(Spring(score_noise=0.45).readings())["sentence"]
    turned = verdict(Spring(score_noise=0.02, score_slope=-30.0).readings())
    assert turned["label"] == "springs_back"
    assert turned["score"]["contradicts"]
    assert "contradicts" in turned["sentence"]


def test_a_scorer_at_chance_takes_the_score_away_and_leaves_the_verdict():
    found = list(analyse(Spring().readings(score_why="AUC 0.51 is below 0.65")))
    scores = [body["value"] for kind, _, body in found if kind == "contrast" and body["reading"] == "score"]
    assert all(v["estimate"] is None and "0.51" in v["why"] for v in scores)
    assert found[-1][2]["label"] == "springs_back"
    assert "not reportable" in found[-1][2]["sentence"]


def test_the_tests_that_are_answered_are_those_that_were_stated():
    for spring in (Spring(), Spring(arms=("main",), reversed=()), Spring(aligned=("given",))):
        readings = spring.readings()
        planned = plans.as_json(plans.tests_planned(readings.shape))
        answered = [body for kind, _, body in analyse(readings) if kind == "test"]
        assert [p["name"] for p in planned] == [t["name"] for t in answered]
        assert [p["threshold"] for p in planned] == [t["threshold"] for t in answered]
        assert len({p["name"] for p in planned}) == len(planned)


def test_a_test_holds_only_when_its_interval_and_its_corrected_p_agree():
    for kind, _, body in analyse(Spring(gain=0.004, noise=0.006).readings()):
        if kind == "test" and body["outcome"] == "holds":
            assert body["p"] <= body["p_adjusted"] <= 0.05
            assert body["statistic"]["low"] > 0 or body["statistic"]["high"] < 0


def test_every_headline_has_at_most_twelve_words_and_a_sentence():
    assert HEADLINES.keys() == SENTENCES.keys() == set(REACHED) | {"identical", "aligned_unmeasured"}
    for body in map(reached, REACHED):
        assert len(body["headline"].split()) <= 12, body["headline"]
        assert "None" not in body["sentence"] + body["lead"] + body["headline"]
        assert "-0" not in body["sentence"] + body["lead"]  # a minus is U+2212


def test_a_verdict_says_what_would_change_it():
    for reason in REACHED:
        conditions = reached(reason)["conditions"]
        assert 1 <= len(conditions) <= 4, reason
        assert all(c["command"] or c["arm"] for c in conditions)


def test_equal_readings_give_equal_records_that_json_can_say():
    one, other = (json.dumps(list(analyse(Spring().readings())), allow_nan=False) for _ in range(2))
    assert one == other
    assert json.dumps(stated(), allow_nan=False)

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from springback.data.records import Labelled, Message, Pair, plain
from springback.data.sets import split
from springback.data.sizes import Sizes, largest_that_fit
from springback.data.toy import load, plain_sentences
from springback.errors import RefusedError

ASKED = {"align": 16, "reverse": 8, "measure": 8}


def pair(i, wanted=None, opposite=None, prompt=None):
    return Pair(
        (Message("user", prompt or f"p{i}"),), wanted or f"good {i}", opposite or f"bad {i}", (f"a:{i}", f"r:{i}")
    )


def pairs(n):
    return [pair(i) for i in range(n)]


def dealt(data, *, extra=(), neutral=(), seed=0, **sizes):
    return split(data, neutral, extra, Sizes(**(ASKED | sizes)), seed=seed)


def answers(rows):
    return [row.answer for row in rows]


def tuned(sets):
    return [*sets.align, *sets.reverse, *sets.benign, *sets.continuation]


def test_every_arm_takes_the_rows_that_its_rule_names():
    sets = dealt(pairs(60), align=4, reverse=4)
    assert answers(sets.align) == ["good 0", "good 1", "good 2", "good 3"]
    assert answers(sets.reverse) == ["bad 0", "bad 1", "bad 2", "bad 3"]
    assert answers(sets.benign) == ["good 0", "bad 4", "good 2", "bad 5"]
    assert answers(sets.continuation) == ["good 4", "bad 6", "good 5", "bad 7"]
    assert [p.wanted for p in sets.measuring] == [f"good {i}" for i in range(59, 51, -1)]


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_placebos_are_balanced_and_share_no_row_with_what_they_are_compared_with(align, reverse):
    sizes = Sizes(align, reverse, 2)
    sets = dealt(pairs(sizes.tuning + 2), align=align, reverse=reverse, measure=2)
    for placebo, like in ((sets.benign, sets.align), (sets.continuation, sets.reverse)):
        assert len(placebo) == len(like)
        wanted = sum(row.answer.startswith("good") for row in placebo)
        assert wanted - (len(placebo) - wanted) in (0, 1)
        assert len(set(answers(placebo))) == len(placebo)
    assert not set(sets.reverse) & {*sets.benign, *sets.continuation}
    assert not set(sets.continuation) & {*sets.align, *sets.benign}


def test_a_smaller_largest_size_has_the_rows_of_the_nested_run():
    many, few = dealt(pairs(200), align=64, reverse=32), dealt(pairs(200), align=16, reverse=8)
    assert few.align == many.align[:16]
    assert few.reverse == many.reverse[:8]
    for name in ("measuring", "scorer_fit", "scorer_held_out"):
        assert getattr(few, name) == getattr(many, name)
    assert dealt(pairs(200), seed=5, align=16).align == dealt(pairs(200), seed=5, align=64).align[:16]
    assert dealt(pairs(200), measure=4).measuring == dealt(pairs(200), measure=8).measuring[:4]


def test_another_seed_reorders_tuning_and_nothing_else():
    first, second = dealt(pairs(100)), dealt(pairs(100), seed=1)
    assert len({first.align, second.align, dealt(pairs(100), seed=2).align}) == 3
    assert dealt(pairs(100), seed=1) == second
    for name in ("measuring", "scorer_fit", "scorer_held_out", "neutral"):
        assert getattr(first, name) == getattr(second, name)


@given(st.integers(0, 19), st.integers(0, 2))
def test_one_changed_row_changes_that_row_only(index, seed):
    data = pairs(100)
    changed = [replace(p, wanted="quite another answer") if i == index else p for i, p in enumerate(data)]
    before, after = dealt(data, seed=seed), dealt(changed, seed=seed)
    for name in ("align", "reverse", "benign", "continuation", "measuring", "scorer_fit", "scorer_held_out"):
        differ = [(b, a) for b, a in zip(getattr(before, name), getattr(after, name), strict=True) if b != a]
        assert [(b.answer, a.answer) for b, a in differ] in ([], [(f"good {index}", "quite another answer")])
    if seed == 0 and index < 16:
        assert before.align[:index] == after.align[:index]
        assert before.align[index] != after.align[index]


def test_nothing_measured_is_tuned_on_and_no_answer_of_the_scorer_is_used_elsewhere():
    data = pairs(120)
    data[3] = pair(3, wanted="good 119", prompt="P119 ")  # the last pair's row, written otherwise
    data[90] = pair(90, opposite="BAD  5")  # among the scorer's pairs: an answer that is tuned on,
    data[100] = pair(100, wanted="good 115")  # one that is measured,
    data[95] = pair(95, wanted="good 96")  # one that comes twice
    for sets in (dealt(data), dealt(data, seed=3)):
        measured = {row.key for p in sets.measuring for row in (p.align, p.reverse)}
        assert not measured & {row.key for row in tuned(sets)}
        used = {plain(a) for a in answers(tuned(sets))} | {
            plain(t) for p in sets.measuring for t in (p.wanted, p.opposite)
        }
        learnt = [plain(row.text) for row in (*sets.scorer_fit, *sets.scorer_held_out)]
        assert not used & set(learnt)
        assert len(set(learnt)) == len(learnt)
        assert any("measuring row" in each.why and each.n == 1 for each in sets.dropped)


def test_the_two_rows_of_a_pair_stay_on_one_side_of_the_scorers_split():
    sets = dealt(pairs(120))
    fitted, held = ({row.prompt for row in rows} for rows in (sets.scorer_fit, sets.scorer_held_out))
    assert fitted
    assert held
    assert not fitted & held


def test_an_answer_under_both_labels_teaches_nothing():
    extra = [Labelled(f"text {i}", wanted=bool(i % 2), where=f"x:{i}") for i in range(400)]
    extra += [Labelled("text 7", wanted=False, where="x:400")]
    sets = dealt(pairs(60), extra=extra)
    assert "text 7" not in {row.text for row in (*sets.scorer_fit, *sets.scorer_held_out)}


def test_other_rows_for_the_scorer_leave_all_pairs_to_tuning():
    extra = [Labelled(f"text {i}", wanted=bool(i % 2), where=f"x:{i}") for i in range(400)]
    sets = dealt(pairs(160 + 8), align=128, reverse=64, extra=extra)
    assert {row.text for row in (*sets.scorer_fit, *sets.scorer_held_out)} == {row.text for row in extra}
    assert len(sets.scorer_held_out) == 133


def test_data_with_a_handful_of_answers_keeps_its_scorer_and_says_what_it_has_seen():
    data = [pair(i, wanted=("Yes.", "Sure.")[i % 2], opposite=("No.", "Never.")[i % 2]) for i in range(120)]
    sets = dealt(data)
    assert sets.scorer_fit
    assert "other prompts" in str(sets.scorer_why)
    used = (
        {row.key for row in tuned(sets)}
        | {p.align.key for p in sets.measuring}
        | {p.reverse.key for p in sets.measuring}
    )
    assert not used & {row.key for row in (*sets.scorer_fit, *sets.scorer_held_out)}


def test_without_rows_left_there_is_no_scorer_but_an_audit():
    sets = dealt(pairs(28))
    assert (sets.scorer_fit, sets.scorer_held_out) == ((), ())
    assert "fewer than" in str(sets.scorer_why)


def test_forty_pairs_are_enough_for_the_tiny_sizes():
    sets = dealt(pairs(40))
    assert (len(sets.align), len(sets.reverse), len(sets.measuring)) == (16, 8, 8)
    assert sets.scorer_fit
    assert sets.scorer_why is None


def test_too_few_rows_are_refused_with_the_arithmetic_and_sizes_that_fit():
    with pytest.raises(
        RefusedError, match=r"needs 160 pairs to tune and 48 to measure = 208 pairs; the data has 40"
    ) as e:
        dealt(pairs(40), align=128, reverse=64, measure=48)
    assert "--align-sizes 8,16 --reverse-sizes 4,8 --pairs 8" in e.value.next
    assert dealt(pairs(40), align=16, reverse=8, measure=8).align
    with pytest.raises(RefusedError, match="the data has 5") as e:
        dealt(pairs(5))
    assert "smallest audit takes" in e.value.next
    with pytest.raises(RefusedError, match="20 repeat a measured row"):
        dealt([*pairs(20), *pairs(20)], measure=20)


@given(st.integers(0, 900))
def test_the_sizes_that_are_advised_do_fit(n):
    fits = largest_that_fit(n)
    if fits is None:
        assert n < 14
    else:
        assert dealt(pairs(n), align=fits.align, reverse=fits.reverse, measure=fits.measure).align


def test_sizes_of_zero_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="at least 1"):
        dealt(pairs(40), align=0)


def test_the_made_data_carries_a_tiny_audit_and_repeats_nothing():
    data = load()
    assert data == load()
    assert (len(data.pairs), len(data.neutral), len(data.extra)) == (256, 96, 256)
    texts = [t for p in data.pairs for t in (p.wanted, p.opposite)] + [row.text for row in data.extra]
    texts += answers(data.neutral)
    assert len(set(texts)) == len(texts)
    for sizes in (ASKED, {"align": 64, "reverse": 32, "measure": 48}):
        sets = dealt(data.pairs, extra=data.extra, neutral=data.neutral, **sizes)
        assert (len(sets.scorer_fit), len(sets.scorer_held_out)) == (171, 85)
    assert plain_sentences() == data.neutral


@pytest.mark.parametrize("percent", [10, 33, 50, 90])
def test_a_mix_puts_the_next_rows_of_the_other_side_in_at_even_distances(percent):
    sets = dealt(pairs(120), align=20, reverse=10, align_mix=percent, reverse_mix=percent)
    foreign = [row.answer.startswith("bad") for row in sets.align]
    assert sum(foreign) == 20 * percent // 100
    for seen in range(21):
        assert sum(foreign[:seen]) == seen * percent // 100
    assert [a for a in answers(sets.align) if a[:3] == "bad"] == [f"bad {10 + k}" for k in range(sum(foreign))]
    assert [a for a in answers(sets.reverse) if a[:4] == "good"] == [f"good {20 + k}" for k in range(percent // 10)]


def test_a_mix_of_nothing_changes_nothing_and_one_of_half_is_the_benign_chain():
    assert dealt(pairs(60)) == dealt(pairs(60), align_mix=0, reverse_mix=0)
    sets = dealt(pairs(60), align_mix=50)
    assert sets.align == sets.benign


@given(st.integers(0, 100), st.integers(0, 100))
def test_no_row_of_a_mixed_alignment_is_in_its_continuation(align_mix, reverse_mix):
    sets = dealt(pairs(80), align_mix=align_mix, reverse_mix=reverse_mix)
    assert not set(answers(sets.align)) & set(answers(sets.continuation))
    assert not set(answers(sets.align)) & set(answers(sets.reverse))
    assert not {p.wanted for p in sets.measuring} & set(answers(tuned(sets)))


def test_the_rows_after_some_examples_of_a_mix_do_not_depend_on_how_many_follow():
    long, short = dealt(pairs(120), align=40, align_mix=30), dealt(pairs(120), align=16, align_mix=30)
    assert long.align[:16] == short.align

from tests.report.example_run import Example

from springback.report.evidence import Evidence
from springback.report.sections import flips, prompts, samples, strip

RUN = Example(sizes=(64, 256), samples=4, pairs=6)
EVIDENCE = Evidence(RUN.records(), RUN.meta())


def test_the_first_prompts_stand_side_by_side_for_start_aligned_reversed_and_benign():
    found = samples.view(EVIDENCE, most=3)
    assert [p.index for p in found.prompts] == [0, 1, 2]
    assert [a.role for a in found.prompts[0].answers] == ["s0", "al", "rv", "pb"]
    stored = RUN.records()["sample"]["0/main/256/0/0"]
    assert found.prompts[0].answers[1].text == stored["answer"]
    assert found.prompts[0].answers[1].score.estimate == stored["score"]


def test_an_answer_that_was_cut_is_known_as_cut():
    found = samples.view(EVIDENCE, most=2)
    assert [p.answers[0].ended for p in found.prompts] == [False, True]
    assert found.prompts[0].answers[0].tokens == RUN.tokens


def test_the_template_that_all_prompts_share_is_left_out_and_nothing_else():
    around = prompts.shared(EVIDENCE)
    assert around == ("<|user|>\n", "<|end|>\n<|assistant|>\n")
    shown = samples.view(EVIDENCE, most=1).prompts[0].text
    assert shown == "One line of a film review, about the story."


def test_a_single_prompt_is_shown_whole():
    one = {"sample": {"a": {"cell": "0/main/0/0", "index": 0, "prompt": "<x>\nhello\n", "answer": ""}}}
    assert prompts.shared(Evidence(one)) == ("", "")


def test_pairs_that_changed_sides_are_listed_with_both_texts_largest_change_first():
    found = flips.view(EVIDENCE)
    margins = {
        cell: {b["index"]: b["margin"] for b in RUN.records()["pair"].values() if b["cell"] == cell}
        for cell in ("0/main/256/0", "0/main/256/128")
    }
    before, after = margins.values()
    assert {f.index for f in found.to_opposite} == {i for i in before if before[i] > 0 > after[i]}
    drops = [after[f.index] - before[f.index] for f in found.to_opposite]
    assert drops == sorted(drops)
    first = found.to_opposite[0]
    assert first.wanted == RUN.records()["held_out"][str(first.index)]["wanted"]
    assert first.opposite == RUN.records()["held_out"][str(first.index)]["opposite"]


def test_models_that_agree_flip_no_pair():
    still = Example(sizes=(64,), reversals=(8,), still=True, samples=1)
    found = flips.view(Evidence(still.records(), still.meta()))
    assert (found.to_opposite, found.to_wanted) == ((), ())


def test_the_tint_has_five_steps():
    assert [strip.tint(bits) for bits in (0.0, 0.5, 1.0, 1.99, 2.0)] == [0, 1, 2, 3, 4]


def test_the_token_with_the_largest_kl_is_read_first():
    (first, *_) = strip.view(EVIDENCE)
    tokens = RUN.records()["strip"]["0"]["tokens"]
    assert first.open == max(range(len(tokens)), key=lambda i: tokens[i]["kl"])
    assert [c.text for c in first.tokens[0].start] == [text for text, _ in tokens[0]["start_top"]]

import subprocess
import sys

import pytest

from springback.fit.memory import LIBRARIES, LOSS_ROWS, Shape, need

SMOLLM2 = Shape(parameters=134_515_008, layers=30, hidden=576, vocab=49_152)
GB = 10**9


def test_full_bf16_tuning_of_135m_parameters_is_the_sum_of_the_textbook():
    parts = need(SMOLLM2, tuner="full", dtype="bfloat16", batch_tokens=384, answer_tokens=184)
    assert parts.weights == parts.start_copy == parts.gradients == pytest.approx(0.27 * GB, rel=0.01)
    assert parts.masters == pytest.approx(0.54 * GB, rel=0.01)
    assert parts.moments == pytest.approx(1.08 * GB, rel=0.01)
    assert parts.total == sum(parts.parts().values())
    assert parts.total < 4 * 2**30


def test_accumulation_adds_an_fp32_sum_of_gradients_under_bf16_only():
    def gradients(dtype, accumulate):
        return need(
            SMOLLM2, tuner="full", dtype=dtype, batch_tokens=99, answer_tokens=9, accumulate=accumulate
        ).gradients  # fmt: skip

    assert gradients("bfloat16", 4) == 3 * gradients("bfloat16", 1)
    assert gradients("float32", 4) == gradients("float32", 1)


def test_fp32_weights_are_their_own_masters():
    assert need(SMOLLM2, tuner="full", dtype="float32", batch_tokens=99, answer_tokens=9).masters == 0


def test_lora_takes_neither_masters_nor_a_copy_of_the_start_and_few_moments():
    parts = need(SMOLLM2, tuner="lora", dtype="bfloat16", batch_tokens=384, answer_tokens=184)
    assert parts.masters == parts.start_copy == 0
    assert parts.moments < 0.05 * need(SMOLLM2, tuner="full", dtype="bfloat16", batch_tokens=1, answer_tokens=1).moments


def test_seven_billion_parameters_need_more_than_a_hundred_gigabytes_in_full_and_a_tenth_of_it_as_lora():
    big = Shape(parameters=7 * GB, layers=32, hidden=4096, vocab=32_000)
    full = need(big, tuner="full", dtype="bfloat16", batch_tokens=512, answer_tokens=256)
    assert 16 * 7 * GB < full.total < 20 * 7 * GB
    assert need(big, tuner="lora", dtype="bfloat16", batch_tokens=512, answer_tokens=256).total < 0.25 * full.total


def test_logits_do_not_grow_past_the_rows_that_exist_at_once():
    def logits(tokens):
        return need(SMOLLM2, tuner="full", dtype="bfloat16", batch_tokens=tokens, answer_tokens=tokens).logits

    assert logits(2 * LOSS_ROWS) == logits(LOSS_ROWS) == 2 * logits(LOSS_ROWS // 2)


def test_the_sentence_shows_the_arithmetic():
    sentence = need(SMOLLM2, tuner="lora", dtype="float32", batch_tokens=64, answer_tokens=32).sentence()
    assert "moments" in sentence
    assert "masters" not in sentence
    assert sentence.endswith("GiB")
    assert f"libraries {LIBRARIES / 2**30:.2f}" in sentence


def test_planning_imports_no_torch():
    code = "import sys, springback.fit.memory, springback.train.recipe; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

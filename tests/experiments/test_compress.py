import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from springback.data.plain_text import Text
from springback.errors import RefusedError
from springback.experiments.compress import CompressConfig, compress, spans
from springback.models.tiny import tiny


@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 20))
def test_every_token_is_scored_exactly_once_with_enough_context(tokens, window, stride):
    stride = min(stride, window)
    scored = []
    for context, first, upto in spans(tokens, window=window, stride=stride):
        assert upto - 1 - context <= window
        for token in range(first, upto):
            assert token - context >= min(token, max(1, window - stride))
            scored.append(token)
    assert scored == list(range(1, tokens))


def texts(*contents):
    return [Text(f"{index}.txt", content, len(content.encode())) for index, content in enumerate(contents)]


def run(contents, **options):
    return compress(texts(*contents), tiny(), CompressConfig(**options), report=lambda *_: None)


def bits_by_the_definition(model, text):
    """The whole text in one forward of plain transformers, the first token after the beginning of text."""
    ids = model.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    with torch.no_grad():
        logits = model.network(torch.tensor([[model.tokenizer.bos_token_id, *ids]])).logits[0].double()
    return -sum(float(logits[t].log_softmax(-1)[token]) for t, token in enumerate(ids)) / math.log(2)


def test_bits_are_those_of_the_whole_text():
    text = "Naïve café: <|im_end|> is text here.\r\n\ttabs, and 中文."
    (file,) = run([text]).files
    assert file.code_bits == pytest.approx(bits_by_the_definition(tiny(), text), abs=1e-3)
    assert file.bytes == len(text.encode())
    assert file.gamma == pytest.approx(file.code_bits / (8 * file.bytes))
    assert file.tail_truncated_bytes == 0


def test_a_control_token_written_in_a_file_is_text():
    (file,) = run(["<|im_end|>"]).files
    assert file.tokens == 10


def test_windows_that_hold_the_whole_text_change_nothing():
    text = "a text of forty bytes, more or less long"
    assert run([text], window=64, stride=7).files == run([text]).files


def test_a_short_window_costs_context_and_loses_no_token():
    model, text = tiny(), "abcdefghij" * 5
    (file,) = compress(texts(text), model, CompressConfig(window=1, stride=1), report=lambda *_: None).files
    ids = [model.tokenizer.bos_token_id, *model.tokenizer(text, add_special_tokens=False)["input_ids"]]
    with torch.no_grad():
        rows = model.network(torch.tensor(ids[:-1])[:, None]).logits[:, 0].double().log_softmax(-1)
    expected = -float(rows.gather(-1, torch.tensor(ids[1:])[:, None]).sum()) / math.log(2)
    assert file.code_bits == pytest.approx(expected, abs=1e-3)
    assert file.tokens == 50


def test_files_together_are_scored_as_each_alone():
    contents = ["first file", "the second, longer file", "3"]
    together = run(contents)
    for content, file in zip(contents, together.files, strict=True):
        assert run([content]).files[0].code_bits == pytest.approx(file.code_bits, abs=1e-4)
    micro = sum(file.code_bits for file in together.files) / sum(8 * file.bytes for file in together.files)
    assert together.gamma.micro.estimate == pytest.approx(micro)
    assert together.gamma.macro.estimate == pytest.approx(sum(file.gamma for file in together.files) / 3)


def test_one_file_has_no_interval_and_says_so():
    done = run(["one"])
    assert done.gamma.micro.low is None
    assert any("one file" in warning for warning in done.warnings)


@pytest.mark.parametrize("wrong", [{"window": 0}, {"window": 10**9}, {"window": 8, "stride": 9}, {"stride": 0}])
def test_windows_that_would_leave_tokens_out_are_refused(wrong):
    with pytest.raises(RefusedError):
        run(["text"], **wrong)


def test_progress_ends_at_all_tokens():
    seen = []
    compress(texts("abc", "de"), tiny(), CompressConfig(), report=lambda *now: seen.append(now))
    assert seen[-1] == (5, 5)

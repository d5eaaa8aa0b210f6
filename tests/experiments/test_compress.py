import json
import math
import tracemalloc
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.experiments.texts import KINDS, silent, write

from springback.elasticity.code_length import code_length
from springback.errors import RefusedError
from springback.experiments.compress import score
from springback.experiments.compress.config import CompressConfig
from springback.experiments.compress.score import as_json, compress
from springback.experiments.compress.windows import spans, windows
from springback.models.score import token_logprobs
from springback.models.tiny import tiny
from springback.models.tokens import encode


@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 20), st.integers(1, 30))
def test_every_token_is_scored_exactly_once_with_enough_context(tokens, window, stride, given):
    stride = min(stride, window)
    scored = []
    for context, first, upto in spans(tokens, window=window, stride=stride, given=given):
        assert upto - 1 - context <= window
        for token in range(first, upto):
            assert token - context >= min(token, max(1, window - stride))
            scored.append(token)
    assert scored == list(range(given, tokens))


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 20), st.integers(1, 20), st.integers(1, 30))
def test_windows_over_chunks_are_those_over_the_whole(sizes, window, stride, given):
    stride, whole = min(stride, window), list(range(given + sum(sizes)))
    ends = [given + sum(sizes[:index]) for index in range(len(sizes) + 1)]
    chunks = [whole[begin : begin + size] for begin, size in zip(ends, sizes, strict=False)]
    rows = windows(chunks, whole[:given], window=window, stride=stride)
    expected = spans(len(whole), window=window, stride=stride, given=given)
    assert [(row.prompt, row.answer) for row in rows] == [
        (tuple(whole[context:first]), tuple(whole[first:upto])) for context, first, upto in expected
    ]


def run(folder, contents, model=None, **options):
    return compress(write(folder, *contents), model or tiny(), CompressConfig(**options), report=silent)


def bits_by_the_definition(model, text, *, before=None, after=()):
    """The whole text in one forward of plain transformers, the first token after the beginning of text."""
    ids = model.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"] + list(after)
    start = model.tokenizer.bos_token_id if before is None else before
    with torch.no_grad():
        logits = model.network(torch.tensor([[start, *ids]])).logits[0].double()
    return -sum(float(logits[t].log_softmax(-1)[token]) for t, token in enumerate(ids)) / math.log(2)


@pytest.mark.parametrize("kind", [*KINDS])
def test_bits_are_those_of_the_whole_text(tmp_path, kind):
    text = KINDS[kind][:250]
    (file,) = run(tmp_path, [text]).files
    assert file.code_bits == pytest.approx(bits_by_the_definition(tiny(), text), abs=5e-3)
    assert file.bytes == len(text.encode())
    assert file.gamma == pytest.approx(file.code_bits / (8 * file.bytes))
    assert file.tail_truncated_bytes == 0


def test_a_control_token_written_in_a_file_is_text(tmp_path):
    (file,) = run(tmp_path, ["<|im_end|>"]).files
    assert file.tokens == 10


def test_the_start_token_is_the_one_that_is_asked_for(tmp_path):
    done = run(tmp_path, ["some text"], bos="<|pad|>")
    assert done.files[0].code_bits == pytest.approx(bits_by_the_definition(tiny(), "some text", before=0), abs=1e-3)
    assert done.policy.bos == "<|pad|>"


def test_without_a_start_token_the_first_one_costs_the_logarithm_of_the_vocabulary(tmp_path):
    done = run(tmp_path, ["some text"], bos="none")
    first = tiny().tokenizer("s", add_special_tokens=False)["input_ids"][0]
    rest = bits_by_the_definition(tiny(), "ome text", before=first)
    assert done.files[0].code_bits == pytest.approx(math.log2(259) + rest, abs=1e-3)
    assert done.policy.bos is None


def test_a_counted_end_costs_its_own_bits(tmp_path):
    done = run(tmp_path, ["some text"], eos="count")
    assert done.files[0].code_bits == pytest.approx(bits_by_the_definition(tiny(), "some text", after=[2]), abs=1e-3)
    assert done.files[0].tokens == 10
    assert done.policy.eos == "<|im_end|>"


def test_windows_that_hold_the_whole_text_change_nothing(tmp_path):
    text = "a text of forty bytes, more or less long"
    assert run(tmp_path, [text], window=64, stride=7).files == run(tmp_path, [text]).files


def test_a_short_window_costs_context_and_loses_no_token(tmp_path):
    model, text = tiny(), "abcdefghij" * 5
    (file,) = run(tmp_path, [text], window=1, stride=1).files
    ids = [model.tokenizer.bos_token_id, *model.tokenizer(text, add_special_tokens=False)["input_ids"]]
    with torch.no_grad():
        rows = model.network(torch.tensor(ids[:-1])[:, None]).logits[:, 0].double().log_softmax(-1)
    expected = -float(rows.gather(-1, torch.tensor(ids[1:])[:, None]).sum()) / math.log(2)
    assert file.code_bits == pytest.approx(expected, abs=1e-3)
    assert file.tokens == 50


def test_files_together_are_scored_as_each_alone(tmp_path):
    contents = ["first file", "the second, longer file", "3"]
    together = run(tmp_path, contents)
    for content, file in zip(contents, together.files, strict=True):
        assert run(tmp_path, [content]).files[0].code_bits == pytest.approx(file.code_bits, abs=1e-4)
    micro = sum(file.code_bits for file in together.files) / sum(8 * file.bytes for file in together.files)
    assert together.micro.estimate == pytest.approx(micro)
    assert together.macro.estimate == pytest.approx(sum(file.gamma for file in together.files) / 3)


def test_one_file_has_no_interval_and_says_so(tmp_path):
    done = run(tmp_path, ["one"])
    assert done.micro.low is None
    assert any("one file" in warning for warning in done.warnings)


@pytest.mark.parametrize("wrong", [{"window": 0}, {"window": 10**9}, {"window": 8, "stride": 9}, {"stride": 0}])
def test_windows_that_would_leave_tokens_out_are_refused(tmp_path, wrong):
    with pytest.raises(RefusedError):
        run(tmp_path, ["text"], **wrong)


def test_a_word_that_is_no_token_cannot_begin_a_text(tmp_path):
    with pytest.raises(RefusedError, match="no token"):
        run(tmp_path, ["text"], bos="<|nothing|>")


def test_progress_ends_at_all_bytes(tmp_path):
    seen = []
    compress(write(tmp_path, "abc", "한"), tiny(), CompressConfig(), report=lambda *now: seen.append(now))
    assert seen[-1] == (6, 6)
    assert all(done < total for done, total in seen[:-1])


def test_a_file_that_cannot_be_scored_is_named_and_has_no_rate(tmp_path):
    done = compress(write(tmp_path, "", b"\xff"), tiny(), CompressConfig(), report=silent, lenient=True)
    assert [file.gamma for file in done.files] == [None, None]
    assert as_json(done.micro) == {"estimate": None, "why": "no file could be scored"}
    assert ["is empty" in done.warnings[1], "no UTF-8 (byte 0" in done.warnings[2]] == [True, True]


def test_a_normalising_tokenizer_is_named(tmp_path):
    done = run(tmp_path, ["ＡＢＣ"], lowering())
    assert any("does not give this text back" in warning for warning in done.warnings)


def lowering():
    """The tiny model with a tokenizer that writes wide letters as narrow ones."""
    from tokenizers import normalizers

    model = tiny(layers=2, hidden=32, heads=2)
    model.tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    return model


def rows(folder, count=12):
    """Prompts and answers of several lengths, one of them longer than a window of 64."""
    path = folder / "rows.jsonl"
    said = [{"prompt": f"question {i}", "completion": "an answer. " * (1 + i)} for i in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in said))
    return path, said


def answers(folder, **options):
    from springback.data.plain_text import Text

    path, said = rows(folder)
    text = Text(str(path), path.stat().st_size)
    return compress([text], tiny(), CompressConfig(read="answers", **options), report=silent), said


def test_answers_given_their_prompts_cost_what_an_audit_says(tmp_path):
    done, said = answers(tmp_path)
    model = tiny()
    found = [encode(model, [{"role": "user", "content": row["prompt"]}], row["completion"]) for row in said]
    lengths = [
        code_length(logprobs, stop=row.stop, answer_bytes=row.answer_bytes)
        for row, logprobs in zip(found, token_logprobs(model.network, found), strict=True)
    ]
    assert done.files[0].code_bits == pytest.approx(sum(length.bits for length in lengths), abs=1e-2)
    assert done.macro.estimate == pytest.approx(sum(length.rate for length in lengths) / 12, abs=1e-5)
    assert (done.files[0].documents, done.micro.n, done.policy.eos) == (12, 12, "<|im_end|>")
    left, _ = answers(tmp_path, eos="leave")
    assert left.files[0].code_bits == pytest.approx(sum(length.bits_without_stop for length in lengths), abs=1e-2)


def test_an_answer_longer_than_the_window_loses_no_token(tmp_path):
    whole, short = answers(tmp_path)[0], answers(tmp_path, window=32)[0]
    assert whole.files[0].tokens == short.files[0].tokens
    assert whole.files[0].code_bits != short.files[0].code_bits


def test_a_start_token_that_the_template_would_ignore_is_refused(tmp_path):
    with pytest.raises(RefusedError, match="would be ignored"):
        answers(tmp_path, bos="none")


def test_preferences_are_no_answers(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps({"prompt": "a", "chosen": "b", "rejected": "c"}) + "\n")
    (text,) = write(tmp_path, "")
    text = replace(text, file=str(tmp_path / "rows.jsonl"))
    with pytest.raises(RefusedError, match="which of the two"):
        compress([text], tiny(), CompressConfig(read="answers"), report=silent)


def test_memory_does_not_grow_with_the_text(tmp_path, monkeypatch):
    """Everything but the network: text, tokens, windows and sums of 0.6 MB and of 2.4 MB."""
    monkeypatch.setattr(
        score, "token_logprobs", lambda _, rows: [torch.zeros(len(row.answer)).double() for row in rows]
    )
    model, peaks = tiny(), []
    for lines in (20_000, 80_000):
        texts = write(tmp_path, "a line of some thirty letters\n" * lines)
        tracemalloc.start()
        (file,) = compress(texts, model, CompressConfig(window=1024, stride=1024), report=silent).files
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert file.tokens == 30 * lines
    assert peaks[1] < 1.1 * peaks[0] < 30e6

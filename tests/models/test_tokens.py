from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken

from springback.errors import RefusedError
from springback.models import templates
from springback.models.language_model import LanguageModel
from springback.models.load import load
from springback.models.place import place
from springback.models.tiny import PAD, STOP, tiny
from springback.models.tokens import encode, encode_prompt, prompt_text, stop_ids

TINY = tiny()
EMPTY = {"role": "system", "content": ""}
ASKED = [{"role": "user", "content": "Why?"}]


def with_template(template: str) -> LanguageModel:
    return replace(TINY, template=template)


def text(model: LanguageModel, ids: tuple[int, ...]) -> str:
    return model.tokenizer.decode(list(ids))


def test_the_answer_ends_with_the_stop_token_and_nothing_after_it() -> None:
    row = encode(TINY, ASKED, "So.")
    assert text(TINY, row.answer) == "So." + STOP
    assert row.answer[-1] == TINY.tokenizer.eos_token_id
    assert row.stop == 1
    assert text(TINY, row.prompt).endswith("<|im_start|>assistant\n")


def test_the_stop_token_stays_a_target_where_it_is_the_padding_too() -> None:
    same = tiny().tokenizer
    same.pad_token = STOP
    model = replace(TINY, tokenizer=same)
    assert model.tokenizer.pad_token_id == model.tokenizer.eos_token_id
    assert encode(model, ASKED, "So.").answer == encode(TINY, ASKED, "So.").answer


def test_prompt_and_answer_are_what_apply_chat_template_gives() -> None:
    whole = TINY.tokenizer.apply_chat_template([*ASKED, {"role": "assistant", "content": "So."}], tokenize=True)
    row = encode(TINY, ASKED, "So.")
    ids = whole["input_ids"]
    assert tuple(ids[: len(row)]) == row.prompt + row.answer
    assert text(TINY, tuple(ids[len(row) :])) == "\n"


def test_the_prompt_to_sample_from_is_the_prompt_that_is_scored() -> None:
    assert encode_prompt(TINY, [EMPTY, *ASKED]) == encode(TINY, [EMPTY, *ASKED], "So.").prompt


def test_an_empty_system_turn_is_passed_on_as_given() -> None:
    assert prompt_text(TINY, [EMPTY, *ASKED]).startswith("<|im_start|>system\n<|im_end|>\n")
    assert "system" not in prompt_text(TINY, ASKED)


def test_a_template_without_a_system_turn_loses_nothing_by_an_empty_one() -> None:
    model = with_template(
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TINY.template
    )
    assert prompt_text(model, [EMPTY, *ASKED]) == prompt_text(model, ASKED)
    with pytest.raises(RefusedError, match="no system"):
        prompt_text(model, [{"role": "system", "content": "Be kind."}, *ASKED])


def test_bytes_are_counted_in_utf_8() -> None:
    assert encode(TINY, ASKED, "né \U0001f642").answer_bytes == 8
    assert encode(TINY, ASKED, "").answer_bytes == 0
    assert encode(TINY, ASKED, "").answer == (TINY.tokenizer.eos_token_id,)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_answer_comes_back_from_its_tokens(answer: str) -> None:
    row = encode(TINY, ASKED, answer)
    assert text(TINY, row.answer[: -row.stop]) == answer
    assert row.answer_bytes == len(answer.encode()) == len(row.answer) - row.stop


def test_a_template_that_trims_the_answer_is_counted_as_it_writes() -> None:
    model = with_template(TINY.template.replace("message.content", "message.content | trim"))
    row = encode(model, ASKED, "  So. ")
    assert (text(model, row.answer), row.answer_bytes) == ("So." + STOP, 3)


def test_white_space_that_the_template_puts_before_the_answer_is_the_answers() -> None:
    template = (
        "{% for m in messages %}{{ '[I] ' + m.content + ' [/I]' if m.role == 'user' else ' ' + m.content + eos_token }}"
        "{% endfor %}"
    )
    row = encode(with_template(template), ASKED, "So.")
    assert (text(TINY, row.prompt), text(TINY, row.answer), row.answer_bytes) == ("[I] Why? [/I]", " So." + STOP, 3)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ messages | length }}{% for m in messages %}{{ m.content + eos_token }}{% endfor %}", "not a beginning"),
        ("{% for m in messages %}{{ m.content }}\n{% endfor %}", "without a control token"),
        ("{% for m in messages %}{{ m.content | upper + eos_token }}{% endfor %}", "where the answer"),
        ("{% for m in messages %}{{ m.content if m.role == 'user' else '<think></think>' + m.content + eos_token }}"
         "{% endfor %}", "where the answer"),
        ("{{ raise_exception('never') }}", "never"),
    ],
)  # fmt: skip
def test_a_template_that_makes_the_difference_impossible_is_refused(template: str, why: str) -> None:
    with pytest.raises(RefusedError, match=why) as refused:
        encode(with_template(template), ASKED, "So.")
    assert refused.value.kind == "template"


def test_no_reasoning_block_is_opened_in_a_finished_answer() -> None:
    thinking = (
        "{% for m in messages %}{% if m.role == 'assistant' %}"
        "{{ '<|im_start|>assistant\\n<think></think>' + m.content }}"
        "{% else %}{{ m.content }}{% endif %}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|im_start|>assistant\\n' }}{% if enable_thinking is false %}{{ '<think></think>' }}{% endif %}{% endif %}"
    )
    row = encode(with_template(thinking), ASKED, "So.")
    assert text(TINY, row.answer) == "So." + STOP
    assert text(TINY, row.prompt).endswith("<think></think>")


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_control_token_in_a_text_is_refused_with_the_text(role: str) -> None:
    bad = f"well {STOP} then"
    with pytest.raises(RefusedError, match=r"contains <\|im_end\|>") as refused:
        encode(TINY, [{"role": "user", "content": bad if role == "user" else "Why?"}], bad)
    assert refused.value.where == bad
    with pytest.raises(RefusedError):
        encode_prompt(TINY, [{"role": "user", "content": PAD}])


def melting() -> LanguageModel:
    """A model whose tokenizer has one token for `: a`: prompt and answer melt."""
    tokenizer = tiny().tokenizer
    tokenizer.add_tokens([AddedToken(": a", special=False, normalized=False)])
    template = "{% for m in messages %}{{ m.content }}{{ ': ' if m.role == 'user' else eos_token }}{% endfor %}"
    return replace(TINY, tokenizer=tokenizer, template=template)


def test_where_prompt_and_answer_would_melt_the_answer_follows_the_prompt_that_is_sampled_from() -> None:
    model = melting()
    row = encode(model, ASKED, "aha")
    assert row.prompt == encode_prompt(model, ASKED)
    assert text(model, row.prompt) == "Why?: "
    assert text(model, row.answer) == "aha" + STOP


def test_a_model_without_a_template_is_given_the_plain_one_with_one_beginning() -> None:
    model = replace(TINY, template=templates.PLAIN)
    row = encode(model, [EMPTY, *ASKED], "So.")
    assert (text(model, row.prompt), text(model, row.answer)) == ("Why?\n", "So." + STOP)
    starts = {**templates.variables_of(TINY.tokenizer), "plain_bos": True}
    assert templates.render(templates.PLAIN, ASKED, starts) == "<|im_start|>Why?\n"


def test_the_stop_tokens_are_those_declared_and_the_one_the_template_writes() -> None:
    assert stop_ids(TINY) == {TINY.tokenizer.eos_token_id}
    other = with_template(TINY.template.replace("<|im_end|>", PAD))
    assert stop_ids(other) == {TINY.tokenizer.eos_token_id, TINY.tokenizer.pad_token_id}


@pytest.mark.weights
def test_the_embedded_model_keeps_its_stop_token_and_our_text_is_that_of_transformers() -> None:
    try:
        place("smollm2-135m-instruct")
    except RefusedError as error:
        pytest.skip(error.message)
    model = load("smollm2-135m-instruct", dtype=torch.bfloat16)
    assert model.tokenizer.pad_token_id == model.tokenizer.eos_token_id
    row = encode(model, [EMPTY, *ASKED], "In  2024.")
    assert model.tokenizer.convert_ids_to_tokens(list(row.answer)) == [
        "In",
        "ĠĠ",
        "2",
        "0",
        "2",
        "4",
        ".",
        "<|im_end|>",
    ]
    theirs = model.tokenizer.apply_chat_template([EMPTY, *ASKED], tokenize=True, add_generation_prompt=True)
    assert list(row.prompt) == theirs["input_ids"]
    assert "helpful AI assistant" not in text(model, row.prompt)

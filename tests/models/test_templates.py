import time

import pytest

from springback.errors import RefusedError
from springback.models import templates
from springback.models.templates import TemplateFailedError, Worker, render
from springback.models.tiny import TEMPLATE, byte_tokenizer

TALK = [{"role": "user", "content": "Hi <b> 'ü' \U0001f642\n"}, {"role": "assistant", "content": "Yes"}]


@pytest.mark.parametrize("generation", [False, True])
@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE,
        "{{ bos_token }}{% for m in messages %}\n  {%- if m.role == 'user' %}\n[{{ m.content | trim }}]\n"
        "  {% else %}\n{{ m | tojson }}{{ eos_token }}\n{%- endif %}{% endfor %}",
        "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{% generation %}{{ m.content }}"
        "{% endgeneration %}{% endfor %}{% set ns = namespace(n=0) %}{% for m in messages %}"
        "{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
    ],
)
def test_a_template_renders_as_transformers_renders_it(template: str, generation: bool) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    theirs = tokenizer.apply_chat_template(TALK, tokenize=False, add_generation_prompt=generation)
    ours = render(template, TALK, templates.variables_of(tokenizer), add_generation_prompt=generation)
    assert ours == theirs


def test_a_template_that_does_not_end_is_stopped() -> None:
    endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    started, worker = time.monotonic(), Worker()
    answer = worker.ask({"template": endless, "messages": [], "variables": {}, "limit": 10}, seconds=1.5)
    worker.close()
    assert "had not ended" in answer["message"]
    assert time.monotonic() - started < 8


def test_a_recursion_that_doubles_is_stopped() -> None:
    worker = Worker()
    doubling = "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}"
    answer = worker.ask({"template": doubling, "messages": [], "variables": {}, "limit": 10}, seconds=1.5)
    worker.close()
    assert "text" not in answer


@pytest.mark.parametrize(
    "template",
    ["{{ 'a' * 300000000 }}", "{{ 'a' * 5000000 }}", "{{ 'a' | center(3000000000) }}", "{{ [0] * 3000000000 }}"],
)
def test_a_template_that_writes_without_end_is_refused(template: str) -> None:
    with pytest.raises(RefusedError) as refused:
        render(template, TALK, {})
    assert refused.value.kind == "template"


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{% include '/etc/passwd' %}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ raise_exception('roles must alternate') }}",
        "{{ unknown() }}",
        "{% for %}",
        "{% set ns = namespace() %}{% set ns._x = 1 %}",
    ],
)
def test_what_the_sandbox_or_the_template_forbids_is_said(template: str) -> None:
    with pytest.raises(TemplateFailedError):
        render(template, TALK, {})


def test_a_good_template_renders_after_a_bad_one_has_died() -> None:
    with pytest.raises(RefusedError):
        render("{{ 'a' * 300000000 }}", TALK, {})
    templates._worker().close()
    assert render("{{ messages[1].content }}", TALK, {}) == "Yes"


def test_the_clock_stands_still() -> None:
    assert render("{{ strftime_now('%d %b %Y') }}", TALK, {}) == "26 Jul 2024"


def test_a_template_as_long_as_a_book_is_refused() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = "a" * (templates.TEMPLATE_LIMIT + 1)
    with pytest.raises(RefusedError, match="characters long"):
        templates.template_of(tokenizer)


def test_of_several_templates_the_default_is_taken() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = {"default": "a", "tool_use": "b"}
    assert templates.template_of(tokenizer) == "a"

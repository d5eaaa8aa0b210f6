import re
from base64 import b64encode
from hashlib import sha256
from html import unescape

from tests.report.example_run import Example

from springback.report.page import page

RUN = Example(sizes=(64,), reversals=(8,), samples=2, pairs=2)
PAGE = page(RUN.records(), RUN.meta())


def hash_of(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def test_the_policy_names_the_very_style_and_script_of_the_page_and_nothing_else():
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', PAGE)[1])
    style = re.search(r"<style>(.*?)</style>", PAGE, re.DOTALL)[1]
    script = re.search(r"<script>(.*?)</script>", PAGE, re.DOTALL)[1]
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "style-src": hash_of(style),
        "script-src": hash_of(script),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_no_inline_style_and_no_event_attribute_that_the_policy_would_refuse():
    markup = PAGE[PAGE.index("<body>") : PAGE.index('<script type="application/json"')]
    assert not re.search(r"<[^>]+\s(style|on\w+)=", markup)


def test_every_address_in_the_page_is_its_own_or_data():
    markup = PAGE[: PAGE.index('<script type="application/json"')]
    assert not re.search(r'\s(?:src|srcset|href|action|data|poster)="(?!#|data:)', markup)
    assert "url(" not in markup.replace("url(#hatch)", "")

"""The page in headless Chromium: silent, inert under hostile text, usable by keyboard."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.report.example_run import Example
from tests.report.reading import read

from springback.report.page import page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: apt-get install chromium")

EVIL = (
    "</script><script>document.title='OWNED'</script><img src=x onerror=\"document.title='OWNED'\">"
    "<svg onload=document.title='OWNED'></svg><!--<script>{{7*7}}${document.title=`OWNED`}</title></style>"
    "<base href=//evil.example><meta http-equiv=refresh content=0;url=//evil.example>"
    '\u202e\u2066\x1b[31m\x00\ud800\ufeff"'
)
HOSTILE = Example(sizes=(64,), reversals=(8,), samples=2, pairs=3, text=EVIL)


def opened(file: Path, profile: Path, *more: str) -> tuple[str, list[str]]:
    """The document after its scripts ran, and what the console said."""
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command += ["--enable-logging=stderr", "--v=0", "--virtual-time-budget=2000", *more, "--dump-dom", f"file://{file}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> tuple[str, list[str], str]:
    place = tmp_path_factory.mktemp("page")
    text = page(HOSTILE.records(), HOSTILE.meta())
    (place / "report.html").write_text(text, encoding="utf-8")
    return *opened(place / "report.html", place / "profile"), text


def test_the_console_stays_silent(hostile):
    assert hostile[1] == []


def test_hostile_text_in_prompts_samples_names_and_files_does_nothing(hostile):
    document = hostile[0]
    assert re.search(r"<title>Springback audit: SmolLM2&lt;/script&gt;", document)
    assert "OWNED" in document
    tree = read(document.replace("<!DOCTYPE html>", ""))
    assert not tree.all("img") + tree.all("base") + tree.all("iframe")
    assert len(tree.all("meta")) == 4
    assert len(tree.all("script")) == 2
    assert not [e for e in tree.walk() if any(name.startswith("on") for name in e.attributes)]


def test_hostile_characters_are_visible_and_turn_nothing_round(hostile):
    body = hostile[2][: hostile[2].index('<script type="application/json"')]
    assert "⟨U+202E⟩⟨U+2066⟩⟨U+001B⟩[31m⟨U+0000⟩⟨U+D800⟩⟨U+FEFF⟩" in body
    assert not set("\u202e\u2066\x1b\x00\ufeff") & set(body)


def test_templates_in_text_are_not_run(hostile):
    assert "{{7*7}}" in hostile[2]
    assert "49$" not in hostile[2]


def test_charts_are_drawn_in_the_browser(hostile):
    charts = [
        e for e in read(hostile[0].replace("<!DOCTYPE html>", "")).all("svg") if e.attributes.get("role") == "img"
    ]
    assert len(charts) > 12


def test_arrow_keys_move_over_the_tokens_and_one_reading_area_shows(tmp_path):
    """The policy forbids any script but the page's own, so this copy of the page has its policy taken away."""
    run = Example(sizes=(64,), reversals=(8,), samples=1, pairs=1)
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page(run.records(), run.meta()))
    probe = """<script>
    const strip = document.querySelector('.strip'), tokens = [...strip.querySelectorAll('.tok')], log = [];
    const press = key => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    const open = () => [...strip.querySelectorAll('.det')].filter(d => getComputedStyle(d).display !== 'none').length;
    log.push(tokens.filter(t => t.tabIndex === 0).length);
    tokens[0].focus();
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowLeft', 'End', 'ArrowRight', 'Home', 'ArrowLeft']) {
      press(key); log.push(tokens.indexOf(document.activeElement)); }
    log.push(open());
    document.body.setAttribute('data-log', log.join(' '));
    dispatchEvent(new Event('beforeprint'));
    const folded = [...document.querySelectorAll('details:not(.dt,.more)')];
    document.body.setAttribute('data-open', folded.every(d => d.open));
    </script></body>"""
    (tmp_path / "probe.html").write_text(text.replace("</body>", probe), encoding="utf-8")
    document, console = opened(tmp_path / "probe.html", tmp_path / "profile")
    assert console == []
    assert re.search(r'data-log="([^"]*)"', document)[1] == "1 1 2 1 11 11 0 0 1"
    assert 'data-open="true"' in document


def width_of(file: Path, profile: Path, size: str) -> tuple[int, int]:
    document, _ = opened(file, profile, f"--window-size={size},900")
    found = re.search(r'data-width="(\d+) (\d+)"', document)
    return int(found[1]), int(found[2])


def test_nothing_sticks_out_of_a_narrow_window(tmp_path):
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page(HOSTILE.records(), HOSTILE.meta()))
    probe = (
        "<script>document.body.setAttribute('data-width', document.documentElement.scrollWidth + ' ' + innerWidth)"
        "</script></body>"
    )
    (tmp_path / "narrow.html").write_text(text.replace("</body>", probe), encoding="utf-8")
    wide, window = width_of(tmp_path / "narrow.html", tmp_path / "profile", "500")
    assert wide <= window + 1

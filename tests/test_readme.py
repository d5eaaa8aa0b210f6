"""The two README files: same headings, same commands, a tree that is true, commands that parse."""

import re
import shlex
from pathlib import Path

import pytest

from springback.cli.main import COMMANDS, commands

ROOT = Path(__file__).parents[1]
ENGLISH, KOREAN = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.ko.md"))
NOT_LISTED = {".ci", ".git", ".gitignore", ".github", "README.md", "README.ko.md"}


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ .*$", text, re.MULTILINE)


def block(text: str, heading: str) -> list[str]:
    """The indented lines of a section, without their comments."""
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [line.split("#")[0].strip() for line in section.splitlines() if line.startswith("    ")]


def tree() -> list[str]:
    section = ENGLISH.split("## What is where\n")[1]
    return [line for line in section.splitlines() if re.search(r"[├└]──", line)]


def test_both_readmes_have_the_same_headings():
    assert headings(KOREAN) == headings(ENGLISH)


SECTIONS = ["Your model, your data", "Elasticity", "Preferences"]


@pytest.mark.parametrize("heading", ["Run it", *SECTIONS])
def test_both_readmes_give_the_same_commands(heading):
    assert block(KOREAN, heading) == block(ENGLISH, heading)
    assert block(ENGLISH, heading)


def test_inline_commands_are_the_same_too():
    spoken = [set(re.findall(r"`((?:springback|make|hf|py) [^`]*|--[^`]*)`", text)) for text in (ENGLISH, KOREAN)]
    assert spoken[0] == spoken[1]


@pytest.mark.parametrize("line", [c for s in SECTIONS for c in block(ENGLISH, s) if c.startswith("springback")])
def test_every_command_of_the_readme_is_understood(line):
    words = shlex.split(line)[1:]
    call, bound, _ = commands.parse_args(words, exit_on_error=False, print_error=False, verbose=False)
    assert words[0] in COMMANDS
    assert call is not None
    assert bound.arguments or len(words) == 1


def test_make_knows_every_target_of_the_readme():
    targets = {line.split()[1] for line in block(ENGLISH, "Run it") if line.startswith("make ")}
    assert targets == {"audit", "test"}
    assert targets <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_tree_names_what_is_there_and_nothing_else():
    named = [re.split(r"[├└]──\s*", line)[1].split()[0].rstrip("/") for line in tree()]
    outer, inner = named[: named.index("src/springback") + 1], named[named.index("src/springback") + 1 :]
    tracked = {path.name for path in ROOT.iterdir() if not _ignored(path)}
    assert set(outer) == (tracked - NOT_LISTED - {"src"}) | {"src/springback", "README.md"}
    there = {path.name for path in (ROOT / "src/springback").iterdir() if not path.name.startswith("__")}
    assert set(inner) == there - {"py.typed"}


def test_no_figure_was_left_out():
    assert not re.search(r"[A-Z]+_(MINUTES|SECONDS|GIB|MB)", ENGLISH + KOREAN)


def _ignored(path: Path) -> bool:
    made = {"runs", "dist", "__pycache__"}
    return path.name in made or path.name.startswith(".") or path.suffix == ".egg-info"

"""The documents: every page is in the index, and every module and record kind they name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS, SOURCE = ROOT / "docs", ROOT / "src/springback"
PAGES = [ROOT / "ARCHITECTURE.md", *sorted(DOCS.rglob("*.md"))]
OUTSIDE = ("bench/", "tests/")
"""Folders beside the package whose files a page may name."""
WIDTH = 140


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def modules(text: str) -> list[str]:
    """Backticked paths of Python files; `data/<name>.py` is a pattern, not a path."""
    return [span for span in spans(text) if re.fullmatch(r"[\w/.-]+\.py", span)]


def linked(text: str) -> set[str]:
    return {link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")}


def kinds_stored() -> set[str]:
    """Kinds of record that the audit's modules write."""
    written = re.compile(r'(?:\bappend\(|\byield\s*\(?|\byield from \(\()\s*"([a-z_]+)",')
    files = (SOURCE / "experiments/audit").glob("*.py")
    return {kind for file in files for kind in written.findall(file.read_text("utf-8"))}


def kinds_documented() -> set[str]:
    table = (DOCS / "methods/runs.md").read_text("utf-8").split("| record kind |")[1].split("\n\n")[0]
    return {kind for line in table.splitlines()[2:] for kind in spans(line.split("|")[1])}


def test_the_index_names_every_page_and_every_page_it_names_is_there():
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")} - {"README.md"}
    assert linked((DOCS / "README.md").read_text("utf-8")) == pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_module_that_a_page_names_is_there(page):
    there = {path.name for path in SOURCE.rglob("*.py")}
    named = modules(page.read_text("utf-8"))
    base = {name: ROOT if name.startswith(OUTSIDE) else SOURCE for name in named}
    assert [name for name in named if "/" in name and not (base[name] / name).is_file()] == []
    assert [name for name in named if "/" not in name and name not in there] == []


def test_the_method_pages_name_modules_at_all():
    assert all(modules(page.read_text("utf-8")) for page in (DOCS / "methods").glob("*.md"))


def test_the_page_of_runs_lists_the_kinds_of_record_that_an_audit_stores():
    assert kinds_documented() == kinds_stored()


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lines_fit(page):
    assert [line for line in page.read_text("utf-8").splitlines() if len(line) > WIDTH] == []

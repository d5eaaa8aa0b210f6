import ast
import re
from pathlib import Path

import pytest

from springback import papers

ROOT = Path(__file__).parents[1]
PAPERS = [value for value in vars(papers).values() if isinstance(value, papers.Paper)]


def test_the_bibliography_at_the_root_is_what_the_package_carries():
    assert (ROOT / "references.bib").read_text("utf-8") == papers.bibliography(papers.ALL), (
        "write it anew: python -c 'from springback import papers; print(papers.bibliography(papers.ALL), end=\"\")'"
    )


def test_every_work_can_be_cited_by_its_key():
    assert {paper.key: paper for paper in PAPERS} == papers.ALL


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.key)
def test_an_entry_is_whole(paper):
    assert paper.authors
    assert 1900 < paper.year < 2100
    assert paper.url.startswith("https://")
    assert bool(paper.venue) == (paper.kind != "misc")
    assert re.fullmatch(r"[a-z]+(19|20)\d\d[a-z0-9]*", paper.key)
    text = paper.bibtex()
    assert text.count("{") == text.count("}")
    assert text.startswith(f"@{paper.kind}{{{paper.key},\n  author = {{{paper.authors[0]}")


def test_no_work_is_entered_anywhere_else():
    made = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Paper"
    ]
    assert {place.partition(":")[0] for place in made} == {"src/springback/papers.py"}, made


def test_a_bibliography_names_each_work_once_in_the_order_asked():
    text = papers.bibliography(["holm1979", "hu2022lora", "holm1979"])
    assert re.findall(r"@\w+\{(\w+),", text) == ["holm1979", "hu2022lora"]
    with pytest.raises(KeyError):
        papers.bibliography(["nobody1900"])

import json
import re

import pytest
from markupsafe import Markup
from tests.report.example_run import Example
from tests.report.reading import read

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.markup import pointed
from springback.report.page import LIMIT, write_report
from springback.report.pages.sheet import Chart, Grid, Section, Sheet, written
from springback.report.tables import table
from springback.report.value import Value
from springback.store.run import Run

EVIL = "</script><script>alert(1)</script><b onclick=x>{{7*7}}\u202e"
RECORDS = {"row": {"a/1": {"x": 1.0, "text": EVIL}, "b/1": {"x": 2.5}}, "large": {"c": {"words": "w" * 100}}}
META = {"command": "theory", "state": "complete", "asked": {"k": [1]}, "identity": {}, "about": {"versions": {}},
        "cost": {"seconds": 2.0}}  # fmt: skip


def chart():
    spots = tuple(Spot(i + 1, Value(b["x"], record=f"row:{key}")) for i, (key, b) in enumerate(RECORDS["row"].items()))
    return lines(Lines("X", (Series("al", spots, "x"),), Axis("i"), Axis("x")))


def sheet(**changed):
    number = pointed("2.5", "row:b/1", stored=2.5)
    section = Section(
        f"One {EVIL}", (EVIL, Markup("<i>our own</i>")), (Chart(chart(), EVIL, EVIL),),
        Grid(EVIL, ("name", "x"), ((EVIL, number),)), table("rows", EVIL, ("x", "record"), ((1.0, "row:a/1"),)), EVIL,
    )  # fmt: skip
    kept = {"subject": EVIL, "answer": EVIL, "lead": EVIL, "sections": (section,), "kinds": ("row", "large")}
    return Sheet(**{**kept, **changed})


def data_of(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_text_is_text_and_only_our_own_markup_is_markup():
    text = written(sheet(), RECORDS, META, cited=EVIL)
    assert text.count("<script") == 2
    assert "alert(1)</script>" not in text
    assert "<b onclick" not in text
    assert "\u202e" not in text.split('id="data"')[0]
    assert "<i>our own</i>" in text


def test_the_page_obeys_its_own_policy_and_loads_nothing():
    text = written(sheet(), RECORDS, META)
    for element in read(text).walk():
        assert not [name for name in element.attributes if name == "style" or name.startswith("on")]
        for name in {"src", "srcset", "href", "action", "poster"} & element.attributes.keys():
            assert element.attributes[name].startswith(("#", "data:"))
    assert "default-src &#39;none&#39;" in text


def test_records_stand_in_the_page_and_tables_are_offered_as_csv():
    text = written(sheet(), RECORDS, META)
    assert data_of(text)["records"]["row"]["b/1"] == {"x": 2.5}
    (link,) = [a for a in read(text).all("a") if a.attributes.get("download") == "rows.csv"]
    assert link.attributes["href"].startswith("data:text/csv")


def test_every_link_has_its_target_and_every_id_is_its_own():
    page = read(written(sheet(), RECORDS, META))
    ids = [e.attributes["id"] for e in page.walk() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    assert {a.attributes["href"][1:] for a in page.all("a") if a.attributes["href"].startswith("#")} <= set(ids)


def test_cells_of_a_table_break_only_where_a_text_is_long():
    assert Grid("", ("a", "b"), (("short", Markup("<b>" + "x" * 90 + "</b>")),)).short
    assert not Grid("", ("a", "b"), (("long " * 20, ""),)).short
    assert 'class="plain acc"' in written(sheet(), RECORDS, META)


def test_the_same_records_give_the_same_bytes():
    assert written(sheet(), RECORDS, META) == written(sheet(), RECORDS, META)


def test_a_page_that_would_be_too_large_leaves_its_last_kinds_out_and_says_so():
    large = {**RECORDS, "large": {"c": {"words": "w" * LIMIT}}}
    text = written(sheet(), large, META)
    assert len(text.encode()) <= LIMIT
    assert set(data_of(text)["records"]) == {"row"}
    assert "1 large records" in read(text).text()


def test_a_run_that_is_not_complete_says_so_first():
    assert "Not complete" in written(sheet(), RECORDS, {**META, "state": "partial"})
    assert "Not complete" not in written(sheet(), RECORDS, META)


def test_two_sections_cannot_share_a_title():
    with pytest.raises(ValueError, match="distinct titles"):
        sheet(sections=(Section("Return"), Section("return")))


def test_a_run_of_an_audit_still_has_the_audits_page(tmp_path):
    Example(sizes=(64,), reversals=(8,), samples=2, pairs=2).stored(tmp_path / "run")
    path, _ = write_report(tmp_path / "run")
    assert "Springback audit" in path.read_text(encoding="utf-8")


def test_the_command_of_a_run_chooses_its_page(tmp_path):
    with Run.open(tmp_path / "run", command="theory", asked={}, identity={}) as run:
        run.finish("complete")
    path, size = write_report(tmp_path / "run")
    text = path.read_text(encoding="utf-8")
    assert "Springback theory" in text
    assert size == len(text.encode())

"""The page of a rebound run, from planted sweeps: every number from a record, names escaped, pages linked."""

import re
from dataclasses import replace

import pytest
from tests.experiments.rebound.planted import Planted, Spring
from tests.report.reading import read

from springback.experiments.audit.config import Audit
from springback.experiments.rebound.analyse import analyse
from springback.experiments.rebound.config import Axes, sweeps
from springback.report.numbers import MINUS, STYLES, bare, count, short
from springback.report.page import write_report
from springback.report.pages.rebound_words import called
from springback.store.run import Run

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"
SMALL = Audit(align_sizes=(32, 64, 128, 256), reverse_sizes=(8, 16, 32), pairs=24, samples=12, neutral=6, arms="all",
              layers="none", forced_tokens=(0,))  # fmt: skip
NUMBER = re.compile(r"[−+]?\d+(?:,\d{3})*(?:\.\d+)?")
LAWS = ({}, {"back": {8: 0.1, 16: 0.2, 32: 0.3}}, {"gain": 0.0, "scored": False})


def write(path, axes, models=("m",), audit=SMALL, laws=LAWS):
    planned = sweeps(models, axes, audit)
    planted = [Planted(Spring(audit=audit, draw=i, **laws[i % len(laws)])) for i in range(len(planned))]
    swept = [replace(one.swept(sweep.name), sweep=sweep) for one, sweep in zip(planted, planned, strict=True)]
    with Run.open(path, command="rebound", asked={"models": models}, identity={}) as run:
        run.note(model={"name": models[0]}, papers=["ji2024elasticity"])
        for kind, key, body in analyse(swept, tolerance=0.06, parameters={m: 10**i for i, m in enumerate(models, 8)}):
            run.append(kind, key, body)
        run.finish("complete")
    return write_report(path)[0]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    path = tmp_path_factory.mktemp("rebound") / "run"
    text = write(path, Axes(methods=("plain", "replay"), align_mixes=(0, 50)), (HOSTILE,)).read_text("utf-8")
    with Run.look(path) as run:
        return read(text), {kind: run.read(kind) for kind in run.kinds()}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "run"
    audit = replace(SMALL, align_sizes=(256,), reverse_sizes=(8, 32))
    return write(path, Axes(methods=("plain", HOSTILE)), (HOSTILE, "한글/" + "x" * 90, "c"), audit).read_text("utf-8")


def leaves(thing):
    if isinstance(thing, dict | list):
        for found in thing.values() if isinstance(thing, dict) else thing:
            yield from leaves(found)
    elif isinstance(thing, int | float) and not isinstance(thing, bool):
        yield thing


def test_every_pointed_number_is_its_records_own_and_printed_as_it_is_stored(shown):
    page, records = shown
    pointed = page.all("data")
    assert len(pointed) > 40
    for element in pointed:
        kind, _, key = element.attributes["data-record"].partition(":")
        stored, own = float(element.attributes["value"]), list(leaves(records[kind][key]))
        assert stored in own
        allowed = {bare(x, style, sign=sign).lstrip("+" + MINUS) for x in own for style in STYLES.values()
                   for sign in (True, False)}  # fmt: skip
        allowed |= {text.lstrip(MINUS) for x in own for text in (short(x), short(x, 2), short(1e3 * x, 2), count(x))}
        text = re.sub(r"·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", "", element.text())
        allowed = {re.sub(r"·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", "", one) for one in allowed}
        assert {number.lstrip("+" + MINUS) for number in NUMBER.findall(text)} <= allowed, element.text()


def test_every_record_that_a_mark_points_to_is_stored_and_every_cell_is_in_the_table(shown):
    page, records = shown
    for element in page.walk():
        if record := element.attributes.get("data-record", ""):
            kind, _, key = record.partition(":")
            assert kind == "run.json" or key in records[kind]
    raw = {row.children[-1].text() for t in page.all("table", class_="raw") for row in t.all("tr")}
    assert {f"cell:{key}" for key in records["cell"]} <= raw


def test_answer_and_label_are_the_verdicts_words(shown):
    page, records = shown
    verdict = records["verdict"]["verdict"]
    assert page.all("h1")[0].text() == verdict["headline"]
    assert verdict["sentence"] in page.text()
    assert page.all("p", class_="label")[0].text() == verdict["label"].replace("_", " ")
    assert "springs_back" not in page.all("main")[0].text()


def test_every_sweep_has_its_row_and_a_link_to_its_own_page(shown):
    page, records = shown
    links = [a.attributes["href"] for a in page.all("main")[0].all("a") if a.attributes["href"].startswith("sweeps")]
    assert links == [f"sweeps/{name}/report.html" for name in records["sweep"]]
    table = next(t for t in page.all("table") if t.text().startswith("Closest return"))
    names = [row.all("th")[0].text() for row in table.all("tr")[1:]]
    assert names == ["00: mix 0 %, plain", "01: mix 0 %, replay", "02: mix 50 %, plain", "03: mix 50 %, replay"]


def test_placebos_are_drawn_however_many_sizes_there_are(shown):
    page, _ = shown
    spoken = page.all("svg", role="img")[0].attributes["aria-label"]
    for name in ("start, reversed", "benign-tuned, N = 256", "benign reversal, N = 256", "aligned, N = 256"):
        assert f"{name}: " in spoken
    assert "aligned, N = 32:" not in spoken
    assert "The 3 largest N are drawn" in page.text()


def test_lines_of_sweeps_differ_in_more_than_their_names(shown):
    page, _ = shown
    picture = page.all("section", id="s-sweeps-beside-each-other")[0].all("svg")[1]  # margin
    lines = {" ".join(sorted(e.classes() - {"ln"})) for e in picture.all("polyline") if "ln" in e.classes()}
    assert len(lines) == 4


def test_what_is_not_reportable_says_why_below_its_table(shown):
    page, records = shown
    text = page.all("section", id="s-return")[0].text()
    prices = records["price"].values()
    whys = {body["half_life"]["why"] for body in prices if body["reached"] is None}
    assert whys
    for why in whys:
        assert why in text
    assert ["more than 32"] * sum(body["reached"] is False for body in prices) == re.findall("more than 32", text)
    assert "more than 32" in text


def test_names_of_models_and_methods_are_text_and_nothing_else(hostile):
    page = read(hostile)
    assert not [
        e for e in page.all("script") if "alert(1)" in e.text() and e.attributes.get("type") != "application/json"
    ]
    assert "<script>alert" not in hostile
    assert "49" not in [cell.text() for cell in page.all("td")]
    for a in page.all("main")[0].all("a"):
        assert re.fullmatch(r"sweeps/[A-Za-z0-9.-]+/report\.html|#[\w-]+|data:[^\"']*", a.attributes["href"])


def test_names_beside_a_line_leave_room_for_the_line(hostile):
    page = read(hostile)
    for svg in page.all("section", id="s-sweeps-beside-each-other")[0].all("svg"):
        names = [e.text() for e in svg.all("text") if "dl" in e.classes()]
        assert names
        assert max(map(len, names)) <= 26


def test_several_models_have_a_section_on_scale(hostile):
    page = read(hostile)
    assert "Power laws" in page.text()
    assert "Drawn: the first 4 of 6 sweeps" in page.text()


def test_a_lone_sweep_without_placebos_or_scores_still_has_a_page(tmp_path):
    audit = replace(SMALL, align_sizes=(256,), reverse_sizes=(8,), arms="core")
    text = write(tmp_path / "run", Axes(), audit=audit, laws=({"scored": False},)).read_text("utf-8")
    page = read(text)
    assert "Sweeps beside each other" not in page.text()
    assert "What an axis changes" not in page.text()
    assert "the reversal from the start was not read" in page.text()


def test_a_run_that_is_not_complete_has_a_page_that_says_so(tmp_path):
    with Run.open(tmp_path / "run", command="rebound", asked={}, identity={}) as run:
        run.note(model={"name": "m"}, papers=[])
    page = read(write_report(tmp_path / "run")[0].read_text("utf-8"))
    assert page.all("h1")[0].text() == "No verdict yet"
    assert "the same command goes on" in page.text()


@pytest.mark.parametrize(
    ("varied", "name"),
    [
        ({}, "07"),
        ({"model": "/a/b/qwen"}, "07: qwen"),
        ({"tuner": "lora:4", "reverse_mix": 50}, "07: lora:4, reversal mix 50 %"),
        ({"reversal_data": "x/y.jsonl"}, "07: on y.jsonl"),
    ],
)
def test_a_sweep_is_called_by_its_number_and_what_varies(varied, name):
    assert called({"sweep": {"07-x": {"varied": varied}}}, "07-x") == name

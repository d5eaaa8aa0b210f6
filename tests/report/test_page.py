import json
import re
from functools import cache

import pytest
from tests.report.example_run import Example
from tests.report.reading import Element, read

from springback.report.page import LIMIT, page

SMALL = Example(sizes=(64,), reversals=(8, 32), samples=3, pairs=4)
FULL = Example()


@cache
def made(run: Example) -> str:
    return fresh(run)


def fresh(run: Example) -> str:
    return page(run.records(), run.meta())


def shown(run: Example) -> Element:
    return read(made(run))


@pytest.fixture(scope="module")
def full() -> Element:
    return shown(FULL)


def panels(document: Element, row: str) -> list[Element]:
    (found,) = document.all("div", class_=f"r-{row}")
    return found.all("svg", role="img")


def test_the_same_records_give_the_same_bytes():
    assert fresh(SMALL) == made(SMALL)


def test_the_order_in_which_records_were_stored_does_not_matter_to_the_charts(full):
    records = {kind: dict(reversed(found.items())) for kind, found in FULL.records().items()}
    turned = read(page(records, FULL.meta()))
    assert [s.attributes["aria-label"] for s in panels(turned, "score")] == [
        s.attributes["aria-label"] for s in panels(full, "score")
    ]


def test_every_element_is_closed_every_id_is_its_own_and_every_link_has_its_target(full):
    ids = [e.attributes["id"] for e in full.walk() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for link in full.all("a"):
        target = link.attributes["href"]
        assert target.startswith("data:") or target.removeprefix("#") in ids
    for element in full.walk():
        assert set(element.attributes.get("aria-describedby", ids[0]).split()) <= set(ids)


def test_every_chart_has_words_for_those_who_do_not_see_it_and_marks_for_those_who_do(full):
    charts = full.all("svg", role="img")
    assert len(charts) >= 20
    for chart in charts:
        assert re.search(r"\d|not reportable", chart.attributes["aria-label"])
        assert [e for e in chart.walk() if e.classes() & {"mk", "ht"}], chart.attributes["aria-label"]


def test_there_is_one_panel_for_aligning_one_for_the_start_and_one_for_each_size(full):
    assert len(panels(full, "score")) == 2 + len(FULL.sizes)
    titles = [svg.all("text", class_="ti")[0].text().replace("\u00a0", " ") for svg in panels(full, "kl")]
    assert [title.split("=")[-1].strip()[:3].strip() for title in titles[1:]] == ["0st", "16", "64", "256"] or titles


@pytest.mark.parametrize(
    ("sizes", "reversals"), [((8,), (8,)), ((8, 16), (8, 16, 24, 32, 64, 128)), ((8, 16, 32, 64, 128), (8,))]
)
def test_any_number_of_sizes_has_its_panels(sizes, reversals):
    document = shown(Example(sizes=sizes, reversals=reversals, samples=1, pairs=2))
    for row in ("score", "margin", "gamma", "kl"):
        assert len(panels(document, row)) == 2 + len(sizes)


def test_the_horizontal_axis_has_examples_tokens_and_steps_at_the_same_places(full):
    panel = panels(full, "score")[-1]
    places = [[t.attributes["x"] for t in panel.all("text", class_=unit)] for unit in ("u-ex", "u-st")]
    assert places[0] == places[1]
    labels = [[t.text() for t in panel.all("text", class_=unit)] for unit in ("u-ex", "u-tk", "u-st")]
    assert labels == [["0", "8", "32", "128"], ["0", "184", "736", "2,944"], ["0", "1", "4", "16"]]


def test_the_start_and_the_placebos_stand_in_the_panel_of_their_size(full):
    score = panels(full, "score")[-1]
    assert score.all("line", class_="st")
    assert score.all("polyline", class_="pb")
    assert score.all("polyline", class_="pc")
    assert "benign-tuned" in score.text()


def test_the_switches_are_radio_buttons_that_need_no_script(full):
    ids = [e.attributes["id"] for e in full.all("input", type="radio")]
    assert ids == ["y-score", "y-margin", "y-gamma", "y-all", "x-ex", "x-tk", "x-st"]
    assert [e.attributes["id"] for e in full.all("input") if "checked" in e.attributes] == ["y-score", "x-ex"]


def test_margin_is_drawn_as_the_paired_change_from_the_start(full):
    reversed_, aligned = (
        FULL.records()["contrast"][name]["value"]["estimate"]
        for name in ("margin/overshoot/main/256/128/0", "margin/gain/main/256/0/0")
    )
    label = panels(full, "margin")[-1].attributes["aria-label"]
    assert f"+{1e3 * aligned:.1f}" in label
    assert f"−{1e3 * reversed_:.1f}" in label


def test_a_score_that_may_not_be_quoted_is_hatched_with_its_reason_and_never_drawn():
    document = shown(Example(sizes=(64,), reversals=(8, 32), scored=False))
    for panel in panels(document, "score"):
        assert panel.all("rect", class_="ht")
        assert not [e for e in panel.walk() if "mk" in e.classes()]
        assert "AUC 0.61" in panel.attributes["aria-label"]
    assert "The score is not reportable." in document.all("div", class_="stamp")[0].text()
    assert all(panel.all("circle") or panel.all("path") for panel in panels(document, "kl"))


def test_a_degenerate_cell_is_hatched_and_named_and_the_others_are_drawn():
    document = shown(Example(sizes=(64,), reversals=(8, 32), degenerate=("0/main/64/32",)))
    panel = panels(document, "score")[-1]
    assert len(panel.all("rect", class_="ht")) == 1
    assert [e for e in panel.walk() if "mk" in e.classes()]
    (section,) = document.all("section", id="rebound")
    assert "one word in every answer" in section.text()


def test_identical_models_give_zeros_and_no_finding():
    document = shown(Example(sizes=(64,), reversals=(8, 32), still=True, label="not_aligned"))
    heading = document.all("section", id="falls")[0].all("h2")[0].text()
    assert heading.startswith("This run cannot tell whether an aligned model falls further")
    marks = [m for m in document.all("table", class_="ft")[0].walk() if "mk" in m.classes()]
    assert marks
    assert all("ho" in m.classes() for m in marks)


def test_a_random_model_is_stamped_before_anything_else():
    page_text = made(Example(sizes=(64,), reversals=(8,), samples=1, pairs=2, tiny=True))
    assert page_text.index("Figures mean nothing.") < page_text.index("<h1>")


def test_one_seed_is_said_and_three_seeds_are_counted_and_drawn_apart():
    assert shown(SMALL).all("span", class_="tag")[0].text() == "one seed"
    three = shown(Example(seeds=(0, 1, 2), sizes=(64,), reversals=(8, 32), samples=1, pairs=2))
    assert three.all("span", class_="tag")[0].text() == "3 seeds"
    last = panels(three, "score")[-1]
    assert len(last.all("polyline", class_="rv")) == 3
    assert " to " in last.text()
    assert "3 seeds" in three.all("section", id="falls")[0].all("h3")[0].text()


def test_a_page_that_would_be_too_large_leaves_out_records_and_says_which(monkeypatch):
    whole = made(SMALL)
    assert len(whole.encode()) < LIMIT
    monkeypatch.setattr("springback.report.page.LIMIT", len(whole.encode()) - 1)
    smaller = fresh(SMALL)
    assert len(smaller.encode()) < len(whole.encode())
    footer = read(smaller).all("footer")[0].text()
    assert f"{len(SMALL.records()['pair'])} pair records" in footer
    assert "pair records" not in read(whole).all("footer")[0].text()


def test_the_pages_data_reads_back_as_the_stored_records():
    text = made(SMALL)
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert data["records"]["contrast"] == SMALL.records()["contrast"]
    assert data["run"]["identity"] == SMALL.meta()["identity"]
    assert "prompt_ids" not in text


def test_the_scorers_worth_stands_beside_every_score(full):
    places = [full.all("section", id=name)[0].text() for name in ("falls", "rebound", "samples")]
    assert all("AUC 0.882" in text for text in places)
    assert "with shuffled labels AUC 0.503" in full.all("p", class_="facts")[0].text()


def test_provenance_names_data_gap_hashes_versions_and_thresholds(full):
    text = full.all("section", id="used")[0].text() + full.all("section", id="tests")[0].text()
    assert "SmolLM2, dequantised from q4_1, MIT" in text
    for part in ("bcc81830" * 8, "872be49d" * 8, "content noun", "words: 0.400", "2: exact duplicate", "torch 2.13.0",
                 "share of the gain", "pass"):  # fmt: skip
        assert part in text


def test_the_closest_return_says_what_it_took(full):
    axes = dict(FULL.records()["axis"])
    facts = {"kl": 1.3448, "examples": 8, "tokens": 182, "steps": 1, "reached": False}
    axes["rebound_distribution"] = {**axes["rebound_distribution"], "closest_return": facts}
    document = read(page({**FULL.records(), "axis": axes}, FULL.meta()))
    text = document.all("section", id="rebound")[0].text().replace("\u00a0", " ")
    assert "Closest return: KL 1.345 bit/token after 8 examples, 182 tokens, 1 step." in text

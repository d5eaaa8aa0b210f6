"""The page of a diagnosis: every number is a stored one, hostile tokens do nothing, a broken run still has a page."""

import re

import pytest
from tests.experiments.entangle.linear import Linear, drawn

from springback.experiments.audit.progress import Progress
from springback.experiments.entangle.config import Entangle
from springback.experiments.entangle.finish import finish
from springback.experiments.entangle.sources import batches
from springback.experiments.entangle.walk import walk
from springback.report.page import write_report
from springback.report.pages import entangle
from springback.report.pages.entangle_charts import BINS, Heap, Point, heaps, scatter
from springback.report.pages.entangle_tokens import tint
from springback.store.run import Run

PLAIN = dict.fromkeys(("ww", "ll", "wl", "cosine", "d_w", "d_l", "rejected_change", "condition"), 1.0) | {
    "in_batch": {"total": {"chosen": 1.0, "rejected": 1.0}}
}
CONFIG = Entangle(tiny=True, batch=4, verify=True, verify_batches=2, shown=2, probes=3, loss="dpo")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("entangle") / "run"
    with Run.open(path, command="entangle", asked={"loss": "dpo"}, identity={}) as run:
        lab = Linear(CONFIG, drawn(12), noise=1e-5)
        run.append("data", "data", {"ledgers": [], "pairs": 12, "notes": ["2 pairs repeat an earlier one"]})
        walk(CONFIG, batches(12, CONFIG), run, lab, Progress({}, {}, say=None))
        finish(CONFIG, run, lab.asked)
        run.finish("complete")
    return path, write_report(path)[0].read_text("utf-8")


def numbers(body):
    if isinstance(body, dict):
        for one in body.values():
            yield from numbers(one)
    elif isinstance(body, list):
        for one in body:
            yield from numbers(one)
    elif isinstance(body, int | float):
        yield float(body)


def test_every_number_of_the_page_stands_in_the_record_that_it_names(page):
    path, text = page
    found = re.findall(r'<data class="num" value="([^"]+)" data-record="(\w+):([^"]+)"', text)
    assert len(found) > 200
    with Run.look(path) as run:
        stored = {}
        for number, kind, key in found:
            key = key.replace("&#43;", "+")
            if (kind, key) not in stored:
                stored[kind, key] = set(numbers(run.get(kind, key)))
            assert float(number) in stored[kind, key], (kind, key, number)


def test_it_answers_in_one_sentence_and_says_whether_it_came_true(page):
    assert re.search(
        r"<h1>Of 12 pairs, \d+ will lower the chosen answer and \d+ will raise the rejected one\.</h1>", page[1]
    )
    assert "Stated before: where the step is small" in page[1]
    for title in ("How many pairs", "The worst pairs", "In which layers", "What each cure would do", "Cheaper scores"):
        assert f"<h2>{title}</h2>" in page[1]


def test_tokens_and_prompts_are_text_and_never_markup(page):
    body = page[1][: page[1].index('<script type="application/json"')]
    tokens = re.findall(r'<span class="tok [kx]\d">(.*?)</span>', body)
    assert set(tokens) == {f'<bdi class="said" dir="auto">{text}</bdi>' for text in ("a", "&lt;i&gt;")}
    assert "&lt;script&gt;why&lt;/script&gt;" in body
    assert "<script>why" not in page[1]


def test_a_token_is_tinted_by_its_part_with_a_class_for_each_direction(page):
    assert [tint(part, 1.0) for part in (0.0, 0.01, 0.1, 0.3, 0.5, 1.0)] == ["k0", "k0", "k1", "k2", "k3", "k4"]
    assert [tint(part, 1.0) for part in (-0.01, -0.1, -0.3, -0.5, -1.0)] == ["k0", "x1", "x2", "x3", "x4"]
    assert tint(0.0, 0.0) == "k0"
    assert 'class="tok k4"' in page[1]
    assert 'class="tok x3"' in page[1]
    style = page[1][page[1].index("<style>") : page[1].index("</style>")]
    assert all(f".{side}{step} {{" in style or f".{side}{step}," in style for side in "kx" for step in range(1, 5))


def test_a_distribution_counts_every_pair_also_those_outside_the_span():
    picture = heaps("x", [Heap("al", "chosen", (-9.0, 0.0, 0.0, 9.0))], "axis", span=(-2.0, 2.0), upright=())
    line = re.search(r'<polyline points="([^"]+)" class="ln al"', picture)[1].split(" ")
    heights = [float(point.split(",")[1]) for point in line][::2]
    floor = max(heights)
    assert len(heights) == BINS
    assert sum(height < floor for height in heights) == 3
    assert heights[0] == heights[-1] > min(heights)


def test_a_scatter_with_an_outlier_of_no_size_is_still_drawn():
    assert "0 answers" in scatter("x", [])
    assert "2 answers, 2 with the predicted sign" in scatter(
        "x", [Point(0.0, 0.0, "al", "r"), Point(1.0, 1.0, "rv", "r")]
    )


def test_of_many_pairs_the_table_holds_the_ends_and_says_so():
    records = {"pair": {str(i): {"index": i, "where": "", "chosen_change": float(i), **PLAIN} for i in range(1000)}}
    table = entangle._pairs(records)  # pyright: ignore[reportPrivateUsage]
    assert len(table.rows) == entangle.MOST
    assert {row[0] for row in table.rows} == {*range(200), *range(800, 1000)}
    assert "400 of 1,000" in table.title


def test_a_run_that_was_stopped_has_a_page_that_says_so(tmp_path):
    with Run.open(tmp_path / "run", command="entangle", asked={"loss": "dpo"}, identity={}) as run:
        run.append("data", "data", {"ledgers": [], "pairs": 12, "notes": []})
    assert "Not finished" in write_report(tmp_path / "run")[0].read_text("utf-8")

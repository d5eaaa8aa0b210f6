import pytest
from tests.experiments.rlhf.climber import Climber, design
from tests.report.reading import read

from springback.experiments.audit.progress import Progress
from springback.experiments.rlhf.finish import finish
from springback.experiments.rlhf.walk import walk
from springback.report.page import write_report
from springback.store.run import Run


def page(path, climber, **options):
    asked = design(**options)
    with Run.open(path, command="rlhf", asked={}, identity={}) as run:
        run.note(model={"name": "a stand-in"}, method={"name": "grpo", "beta": 0.1})
        for _ in walk(asked, run, climber, Progress({}, {}, say=None)):
            pass
        finish(asked, run)
        records = {kind: run.read(kind) for kind in run.kinds()}
    return read(write_report(path)[0].read_text(encoding="utf-8")), records


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    return page(tmp_path_factory.mktemp("rlhf") / "run", Climber(grows=0.2, watch=-0.08), steps=12)


def leaves(thing):
    parts = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else ()
    yield from (number for part in parts for number in leaves(part))
    if isinstance(thing, int | float) and not isinstance(thing, bool):
        yield float(thing)


def test_every_number_is_its_record_s_own(shown):
    found, records = shown
    pointed = found.all("data")
    assert len(pointed) > 15
    for element in pointed:
        kind, _, key = element.attributes["data-record"].partition(":")
        assert float(element.attributes["value"]) in set(leaves(records[kind][key]))


def test_the_page_answers_in_a_sentence_and_names_every_alarm_with_its_step(shown):
    found, records = shown
    text = found.text()
    assert records["result"]["result"]["sentence"] in text
    for sign in records["alarm"].values():
        assert sign["sentence"] in text
    assert "2 alarms fired" in text


def test_every_step_stands_in_the_curves(shown):
    found, records = shown
    marks = {element.attributes.get("data-record", "") for element in found.walk()}
    assert {f"step:{key}" for key in records["step"]} <= marks


def test_without_an_alarm_the_page_says_so_or_that_it_could_not_be_told(tmp_path):
    assert "None fired." in page(tmp_path / "a", Climber(), steps=9)[0].text()
    assert "Too few steps" in page(tmp_path / "b", Climber(grows=9.0), steps=3)[0].text()


def test_the_page_of_a_pipeline_names_its_stages_and_where_they_are(tmp_path):
    with Run.open(tmp_path, command="rlhf", asked={}, identity={}) as run:
        for name in ("sft", "reward", "ppo"):
            run.append("stage", name, {"name": name, "run": name, "model": f"{name}/model", "found": None})
    text = read(write_report(tmp_path)[0].read_text(encoding="utf-8")).text()
    assert all(f"{name}/model" in text for name in ("sft", "reward", "ppo"))
    assert "3 stages" in text

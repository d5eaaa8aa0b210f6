import pytest
from tests.report.example_run import Example
from tests.report.reading import read

from springback.errors import RefusedError
from springback.report.compare import comparison, data, price, write_comparison
from springback.report.evidence import Evidence
from springback.report.one_start import distinct, require_one_start

ONE = Example(sizes=(64,), reversals=(8, 32), samples=1, pairs=1)
OTHER = Example(sizes=(64, 256), reversals=(8, 32, 128), samples=1, pairs=1, seeds=(0, 1, 2))
RUNS = [(name, Evidence(run.records(), run.meta())) for name, run in (("plain", ONE), ("defended <b>", OTHER))]


def test_every_run_has_its_row_its_mark_and_its_verdict():
    document = read(comparison(RUNS))
    rows = document.all("table", class_="cmp")[0].all("tr")[1:]
    assert [row.all("th")[0].text() for row in rows] == ["plain", "defended <b>"]
    assert all("springs_back" in row.text() for row in rows)
    picture = document.all("div", class_="one")[0].all("svg")[0]
    assert len([e for e in picture.walk() if "mk" in e.classes()]) == 2
    assert "plain" in picture.text()


def test_the_price_is_the_smallest_reversal_whose_whole_interval_undoes_half():
    assert [price(evidence) for _, evidence in RUNS] == [32, 32]
    held = Example(sizes=(64,), reversals=(8,), samples=1, pairs=1, still=True)
    assert price(Evidence(held.records(), held.meta())) is None


def test_a_run_that_was_not_undone_is_a_hollow_mark_with_an_arrow():
    kept = dict(ONE.records()["contrast"])
    for name, body in kept.items():
        if body["kind"] == "undone":
            kept[name] = {**body, "value": {**body["value"], "low": 0.1}}
    document = read(comparison([("kept", Evidence({**ONE.records(), "contrast": kept}, ONE.meta()))]))
    assert document.all("circle", class_="ho")
    assert "not by n" in document.all("table", class_="cmp")[0].text()


def test_the_comparison_is_the_same_every_time_and_its_data_has_every_run():
    assert comparison(RUNS) == comparison(RUNS)
    assert [row[0] for row in data(RUNS).rows] == ["plain", "defended <b>"]


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("start weights", {"model": {"weights_sha256": "aa" * 32}}),
        ("chat template", {"model": {"template_sha256": "aa" * 32}}),
        ("data", {"identity": {"data_sha256": "aa" * 32}}),
        ("scorer", {"asked": {"score": "lexicon"}}),
    ],
)
def test_runs_of_another_start_or_other_data_are_refused_by_the_name_of_what_differs(field, changed):
    meta = ONE.meta()
    other = {**meta, **{name: {**meta[name], **more} for name, more in changed.items()}}
    with pytest.raises(RefusedError, match=field) as refused:
        require_one_start([("first", meta), ("second", other)])
    assert refused.value.where == "second"
    assert str(refused.value).count("there") == 1


def test_runs_are_named_by_as_much_of_their_path_as_tells_them_apart(tmp_path):
    assert distinct([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    assert distinct([tmp_path / "x" / "run", tmp_path / "y" / "run"]) == ["x/run", "y/run"]
    with pytest.raises(RefusedError, match="twice"):
        distinct([tmp_path / "a", tmp_path / "a"])


def test_the_page_stands_beside_the_first_run(tmp_path):
    runs = [ONE.stored(tmp_path / "one"), ONE.stored(tmp_path / "two")]
    out, size = write_comparison(runs)
    assert out.parent == tmp_path
    assert out.stat().st_size == size
    assert (out, size) == write_comparison(runs)

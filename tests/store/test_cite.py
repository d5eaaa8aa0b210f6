import pytest

from springback.errors import RefusedError
from springback.store import cite
from springback.store.run import Run


def noted(path, *keys):
    run = Run.open(path, command="audit", asked={}, identity={})
    run.note(papers=list(keys))
    return run


def test_a_run_cites_what_it_used_and_nothing_else(tmp_path):
    with noted(tmp_path / "run", "holm1979", "ji2024elasticity", "holm1979") as run:
        assert cite.keys(run) == ["holm1979", "ji2024elasticity"]
        text = cite.bibtex(run)
    assert [line.partition("{")[2] for line in text.splitlines() if line.startswith("@")] == [
        "holm1979,",
        "ji2024elasticity,",
    ]


def test_a_run_that_used_nothing_cites_nothing(tmp_path):
    with Run.open(tmp_path / "run", command="compress", asked={}, identity={}) as run:
        assert (cite.keys(run), cite.bibtex(run)) == ([], "")


@pytest.mark.parametrize("listed", [["nobody1900"], [{"key": "holm1979"}], "holm1979", 3])
def test_a_work_that_nobody_entered_is_refused_by_its_key(tmp_path, listed):
    with Run.open(tmp_path / "run", command="audit", asked={}, identity={}) as run:
        run.note(papers=listed)
        with pytest.raises(RefusedError) as caught:
            cite.keys(run)
        assert caught.value.kind == "run"

"""Opening a run, doing its work and closing it, whatever the experiment."""

import pytest

from springback.errors import RefusedError, StoppedError
from springback.experiments.running import Finished, carried_out
from springback.store.run import Run


def carried(path, work) -> Finished:
    return carried_out(path, work, command="toy", asked={"n": 1}, identity={}, about={})


def stopped(run: Run):
    run.append("cell", "0", {"value": 1})
    raise KeyboardInterrupt


def test_what_an_interrupted_call_spent_counts_when_it_is_finished(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        carried(tmp_path / "run", stopped)
    with Run.look(tmp_path / "run") as found:
        first = found.meta["spent"]
    assert first > 0
    done = carried(tmp_path / "run", lambda _: {"cells": 0})
    assert done.run.meta["cost"]["seconds"] > first
    assert done.run.state == "complete"


def test_a_refusal_before_the_first_record_leaves_no_directory(tmp_path):
    def refused(_run: Run):
        raise RefusedError("no", kind="option", next="say yes")

    with pytest.raises(RefusedError):
        carried(tmp_path / "run", refused)
    assert not (tmp_path / "run").exists()


def test_a_refusal_after_a_record_keeps_it(tmp_path):
    def refused(run: Run):
        run.append("cell", "0", {"value": 1})
        raise RefusedError("no", kind="option", next="say yes")

    with pytest.raises(StoppedError, match="no"):
        carried(tmp_path / "run", refused)
    with Run.look(tmp_path / "run") as found:
        assert found.keys("cell") == ["0"]


def test_records_of_runs_within_count_and_those_of_an_earlier_call_do_not(tmp_path):
    def refused(run: Run):
        if not (run.path / "part").exists():
            carried(run.path / "part", lambda part: part.append("cell", "0", {"value": 1}) or {})
        raise RefusedError("no", kind="option", next="say yes")

    with pytest.raises(StoppedError):
        carried(tmp_path / "run", refused)
    with pytest.raises(RefusedError) as found:
        carried(tmp_path / "run", refused)
    assert not isinstance(found.value, StoppedError)
    assert (tmp_path / "run" / "part").exists()


def test_what_the_work_reports_is_handed_on(tmp_path):
    assert carried(tmp_path / "run", lambda _: {"cells": 3}).work_done == {"cells": 3}

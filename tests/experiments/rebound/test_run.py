"""A whole rebound run of the tiny model: a directory of audits, resumed, answered again, refused before it is begun."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.experiments.audit.small import records, tiny

from springback.errors import RefusedError
from springback.experiments.audit import estimate, outcome
from springback.experiments.audit.run import run_audit
from springback.experiments.rebound import run as rebound
from springback.experiments.rebound.config import Axes, sweeps
from springback.experiments.rebound.run import run_rebound
from springback.store.run import Run

SMALL = {"samples": 4, "pairs": 6, "max_new_tokens": 4, "neutral": 2, "align_sizes": (8,), "reverse_sizes": (4, 8),
         "forced_tokens": (0,), "layers": "none"}  # fmt: skip
WORDS = ["rebound", "--tiny", "--samples", "4", "--pairs", "6", "--max-new-tokens", "4", "--neutral", "2",
         "--align-sizes", "8", "--reverse-sizes", "4,8", "--arms", "needed", "--methods", "plain,replay"]  # fmt: skip
TWO = Axes(methods=("plain", "replay"))


def small(**more):
    return tiny(**(SMALL | more))


def every(path: Path) -> dict:
    """Records of a run and of all its sweeps."""
    return {found.relative_to(path): records(found) for found in (path, *sorted((path / "sweeps").iterdir()))}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    path = tmp_path_factory.mktemp("rebound") / "run"
    found = run_rebound((small().model,), TWO, small(), path, quiet=True)
    return path, found, every(path)


def test_every_sweep_is_an_audit_of_its_own_and_the_run_holds_their_cells(done):
    path, _, found = done
    names = [sweep.name for sweep in sweeps((small().model,), TWO, small())]
    assert [str(name) for name in found] == [".", *(f"sweeps/{name}" for name in names)]
    own = {key for kind, key in found[Path()] if kind == "cell"}
    theirs = {f"{name}/{key}" for name in names for kind, key in found[Path("sweeps") / name] if kind == "cell"}
    assert own == theirs
    with Run.look(path) as run:
        assert set(run.meta["plan"]["cells"]) == own
        assert run.meta["plan"]["sweeps"][1]["varied"] == {"reverse_with": "replay"}


def test_a_sweep_has_the_records_of_the_same_audit_run_alone(done, tmp_path):
    run_audit(small(reverse_with="replay"), tmp_path / "alone", quiet=True)
    assert records(tmp_path / "alone") == done[2][Path("sweeps/01-method-replay")]


def test_the_work_of_a_call_is_that_of_its_sweeps_and_a_second_call_does_none(done):
    path, first, found = done
    assert first.work_done["cells"] == len([1 for kind, _ in found[Path()] if kind == "cell"])
    again = run_rebound((small().model,), TWO, small(), path, quiet=True)
    assert again.work_done == outcome.NOTHING_DONE
    assert again.run.state == "complete"
    assert every(path) == found


def test_a_finished_run_is_answered_without_torch_and_without_memory(done):
    code = "import sys, psutil\nsys.modules['torch'] = None\n"
    code += "psutil.virtual_memory = lambda: type('V', (), {'available': 0})()\n"
    code += (
        f"from springback.cli.main import app\nsys.exit(app({[*WORDS, '--out', str(done[0]), '--json', '--quiet']!r}))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = json.loads(answer.stdout)
    assert (answer.returncode, said["status"]) == (0, "done")
    assert said["result"]["work_done"] == outcome.NOTHING_DONE


def test_killed_in_the_middle_of_the_second_sweep_it_ends_in_the_same_records(done, tmp_path):
    command = [sys.executable, "-m", "springback", *WORDS, "--out", str(tmp_path / "run"), "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    second = tmp_path / "run/sweeps/01-method-replay"
    wait_for(lambda: (second / "records.sqlite").exists() and cells(second) >= 2, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert cells(second) < len([1 for kind, _ in done[2][Path("sweeps/01-method-replay")] if kind == "cell"])
    found = run_rebound((small().model,), TWO, small(), tmp_path / "run", quiet=True)
    assert 0 < found.work_done["cells"] < done[1].work_done["cells"]
    assert every(tmp_path / "run") == done[2]


def cells(path: Path) -> int:
    try:
        with Run.look(path) as run:
            return len(run.keys("cell"))
    except RefusedError:
        return 0


def wait_for(condition, process) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_changed_axis_is_refused_by_name_and_changes_nothing(done):
    path, _, found = done
    with pytest.raises(RefusedError, match="methods"):
        run_rebound((small().model,), Axes(methods=("plain", "kl_anchor")), small(), path, quiet=True)
    with pytest.raises(RefusedError, match="tolerance"):
        run_rebound((small().model,), replace(TWO, tolerance=0.5), small(), path, quiet=True)
    assert every(path) == found


def nothing(order):
    raise AssertionError("a sweep was begun")


@pytest.mark.parametrize("method", ["nonsense", "kl_anchor:weight=-1", "replay:share=inf", "constrained:first=nan",
                                    "plain:x=1", "no_such_module:f"])  # fmt: skip
def test_a_way_of_tuning_that_is_not_there_is_refused_before_anything_is_written(tmp_path, method):
    with pytest.raises(RefusedError) as refused:
        run_rebound((small().model,), Axes(methods=("plain", method)), small(), tmp_path / "run", engine=nothing)
    assert refused.value.kind == "option"
    assert list(tmp_path.iterdir()) == []


def test_an_audit_alone_refuses_it_before_anything_is_written_too(tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "open", nothing)
    with pytest.raises(RefusedError, match="nonsense"):
        run_audit(small(reverse_with="nonsense"), tmp_path / "run", quiet=True)


def test_a_second_sweep_for_which_there_is_no_memory_is_refused_before_the_first(tmp_path, monkeypatch):
    def need(config, *rest):
        found = estimate.estimate(config, *rest)
        return found if config.tuner == "full" else replace(found, memory=replace(found.memory, libraries=2**60))

    monkeypatch.setattr(rebound, "estimate", need)
    with pytest.raises(RefusedError, match="Not enough memory"):
        run_rebound((small().model,), Axes(tuners=("full", "lora:2")), small(), tmp_path / "run", engine=nothing)
    assert list(tmp_path.iterdir()) == []


def test_kept_checkpoints_of_all_sweeps_must_fit_on_the_disk_together(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(rebound, "require_room", lambda expected, *_: asked.append(expected.disk_bytes))
    for keep in (False, True):
        audit = small(keep_checkpoints=keep)
        with pytest.raises(AssertionError, match="begun"):
            run_rebound((audit.model,), TWO, audit, tmp_path / str(keep), engine=nothing)
    one, same, first, both = asked
    assert one == same == first
    assert both == 2 * one


def test_what_the_first_sweep_refuses_leaves_nothing_behind(tmp_path, files):
    audit = small(align=files[0], reverse=files[1], reversal_data=None, tuner="full")
    long = tmp_path / "long.jsonl"
    long.write_text("".join(f'{{"prompt": "p{i}", "completion": "{"word " * 900}"}}\n' for i in range(40)))
    with pytest.raises(RefusedError, match="tokens"):
        run_rebound((audit.model,), Axes(reversals=(str(long), "same")), audit, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_sweeps_that_differ_in_how_they_tune_read_their_data_once(monkeypatch):
    read = []
    gather = rebound.gather
    monkeypatch.setattr(rebound, "gather", lambda audit: read.append(audit) or gather(audit))
    axes = Axes(tuners=("full", "lora:2"), methods=("plain", "replay"), align_mixes=(0, 50))
    rebound.plan((small().model,), axes, small())
    assert len(read) == 2

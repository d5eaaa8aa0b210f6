"""A whole audit of the tiny model, and how it follows what it is given."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest
from tests.experiments.audit.small import records, rows, tiny, write

from springback.errors import RefusedError
from springback.experiments.audit import outcome
from springback.experiments.audit.grid import grid
from springback.experiments.audit.run import run_audit
from springback.models.tiny import save_folder
from springback.models.tiny import tiny as tiny_model


def cells(found: dict) -> dict[str, dict]:
    return {key: body for (kind, key), body in found.items() if kind == "cell"}


def run(path, **options):
    run_audit(tiny(**options), path, quiet=True)
    return records(path)


def test_every_planned_cell_is_measured_and_counted(audited):
    path, done, found = audited
    planned = [point.id for point in grid(tiny()).points()]
    assert sorted(cells(found)) == sorted(planned)
    assert found["accounting", "accounting"]["cells"] == {
        "planned": len(planned), "done": len(planned), "failed": 0, "skipped": 0,
    }  # fmt: skip
    assert done.work_done["cells"] == len(planned)
    assert done.run.state == "complete"
    assert not (path / "checkpoints").exists()


def test_the_result_has_the_keys_of_the_contract(audited):
    _, done, _ = audited
    found = outcome.result(done.run, done.work_done, "report.html")
    assert found.keys() == {"verdict", "axes", "scorer", "grid", "accounting", "work_done", "report", "cost"}
    assert found["axes"].keys() == {"token", "layer", "rebound_behaviour", "rebound_distribution"}
    assert all(axis["placebos"] and "estimate" in axis for axis in found["axes"].values())
    assert {"label", "sentence", "tests"} <= found["verdict"].keys()
    json.dumps(found, allow_nan=False)


def test_the_start_is_measured_on_the_tuned_network_and_is_the_start_exactly(audited):
    _, _, found = audited
    start = cells(found)["0/main/0/0"]
    assert start["kl_from_start"]["estimate"] == start["kl_to_start"]["estimate"] == 0
    assert {check["outcome"] for check in found["accounting", "accounting"]["checks"]} == {"pass"}


def test_a_second_draw_of_the_start_differs_in_nothing_but_the_draw(audited):
    _, _, found = audited
    start, again = (cells(found)[f"0/{arm}/0/0"] for arm in ("main", "noise"))
    assert again["behaviour"]["margin"] == start["behaviour"]["margin"]
    assert again["gamma"] == start["gamma"]
    texts = [[found["sample", f"0/{arm}/0/0/{i}"]["answer"] for i in range(6)] for arm in ("main", "noise")]
    assert texts[0] != texts[1]


def test_a_second_call_does_no_work_and_changes_nothing(audited):
    path, _, found = audited
    again = run_audit(tiny(), path, quiet=True)
    assert set(again.work_done.values()) == {0}
    assert records(path) == found


def test_the_same_question_gives_the_same_records(audited, tmp_path):
    assert run(tmp_path / "again") == audited[2]


def test_one_size_alone_is_its_row_in_the_nested_run(audited, tmp_path):
    alone, nested = cells(run(tmp_path / "alone", align_sizes=(16,))), cells(audited[2])
    shared = [key for key in alone if key in nested and key.startswith(("0/main/", "0/from_start/"))]
    assert {"0/main/16/0", "0/main/16/8"} <= set(shared)
    for key in shared:
        assert alone[key] == nested[key]


def test_one_changed_row_changes_its_chain_from_there_on_and_nothing_before(files, tmp_path):
    good, bad = files
    before = run(tmp_path / "a", align=good, reverse=bad)
    lines = rows("Good")
    lines[10]["completion"] = "Something else altogether."  # row 11 of the alignment: after N = 8, before N = 16
    after = run(tmp_path / "b", align=write(tmp_path / "changed.jsonl", lines), reverse=bad)
    one, other = cells(before), cells(after)
    assert one["0/main/8/0"] == other["0/main/8/0"]
    assert one["0/main/8/4"] == other["0/main/8/4"]
    assert one["0/from_start/0/4"] == other["0/from_start/0/4"]
    assert one["0/main/16/0"] != other["0/main/16/0"]
    assert one["0/main/16/8"] != other["0/main/16/8"]


def test_sides_exchanged_turn_the_margin_round(files, tmp_path):
    good, bad = files
    one = cells(run(tmp_path / "a", align=good, reverse=bad))
    other = cells(run(tmp_path / "b", align=bad, reverse=good))
    margins = [cell["0/main/0/0"]["behaviour"]["margin"]["estimate"] for cell in (one, other)]
    assert margins[0] == pytest.approx(-margins[1])
    assert margins[0] != 0


def test_the_same_file_on_both_sides_is_refused_and_leaves_nothing(files, tmp_path):
    with pytest.raises(RefusedError) as refused:
        run(tmp_path / "run", align=files[0], reverse=files[0])
    assert refused.value.kind == "data"
    assert not (tmp_path / "run").exists()


def test_labels_that_mean_nothing_make_the_score_not_reportable(tmp_path):
    good, bad = rows("Good", 96), rows("Bad", 96)
    sides = ((good, bad), (bad, good))
    mixed = [[a if i % 2 else b for i, (a, b) in enumerate(zip(*side, strict=True))] for side in sides]
    paths = [write(tmp_path / f"{i}.jsonl", lines) for i, lines in enumerate(mixed)]
    found = run(tmp_path / "run", align=paths[0], reverse=paths[1])
    assert not found["scorer", "scorer"]["reportable"]
    assert cells(found)["0/main/16/0"]["behaviour"]["score"]["estimate"] is None


def test_a_byte_identical_copy_differs_in_nothing(tmp_path):
    folder = save_folder(tiny_model(3), tmp_path / "model")
    copy = save_folder(tiny_model(3), tmp_path / "copy")
    options = {"tiny": False, "model": str(copy), "base": str(folder), "align_sizes": (8,), "reverse_sizes": (8,)}
    good, bad = (write(tmp_path / f"{word}.jsonl", rows(word)) for word in ("Good", "Bad"))
    found = run(tmp_path / "run", **options, align=good, reverse=bad)
    given = cells(found)["0/main/given/0"]
    assert given["kl_from_start"]["estimate"] == given["kl_to_start"]["estimate"] == 0
    assert given["behaviour"] == cells(found)["0/main/0/0"]["behaviour"]
    verdict = found["verdict", "verdict"]
    assert verdict["label"] == "not_aligned"
    assert "identical" in verdict["sentence"]


def test_another_question_in_the_same_directory_is_refused_by_name(audited):
    with pytest.raises(RefusedError, match="samples"):
        run(audited[0], samples=5)


def test_killed_at_random_moments_it_ends_in_the_same_records(audited, tmp_path):
    words = ["audit", "--tiny", "--samples", "10", "--pairs", "6", "--max-new-tokens", "8", "--forced-tokens", "0,2"]
    command = [sys.executable, "-m", "springback", *words, "--out", str(tmp_path / "run"), "--quiet"]
    moments = random.Random(5)
    for _ in range(4):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=moments.uniform(3, 9))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(0.1)
    subprocess.run(command, check=True, capture_output=True)
    assert records(tmp_path / "run") == audited[2]

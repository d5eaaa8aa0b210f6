"""A whole cycle on the tiny model."""

import signal
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
import torch
from tests.experiments.audit.small import records, rows, write

from springback.data import toy
from springback.errors import RefusedError
from springback.experiments.cycle import outcome
from springback.experiments.cycle.chain import course
from springback.experiments.cycle.config import PRESETS, Cycle
from springback.experiments.cycle.run import run_cycle
from springback.experiments.cycle.sources import documents, gather
from springback.models.tiny import tiny
from springback.store.run import Run

SMALL = {**PRESETS["tiny"], "tiny": True, "text_sizes": (4, 8), "samples": 4, "pairs": 8, "neutral": 6,
         "max_new_tokens": 6}  # fmt: skip


def run(path, **more):
    done = run_cycle(Cycle(**{**SMALL, **more}), path, quiet=True)
    return done, records(path)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    path = tmp_path_factory.mktemp("cycle") / "run"
    return path, *run(path)


def test_every_planned_point_is_read_and_the_work_is_counted(ran):
    path, done, found = ran
    points = [point.id for point in course(Cycle(**SMALL)).points()]
    assert [key for kind, key in found if kind == "cell"] == points
    assert len(points) == 15
    assert done.work_done["cells"] == 15
    assert done.work_done["optimizer_steps"] == (8 + 16 + 8 + 8 + 8 + 16 + 8 + 8) // 4
    assert not (path / "checkpoints").exists()


def test_a_cell_says_what_stands_behind_it_stage_by_stage(ran):
    found = ran[2]
    behind = found["cell", "0/main/realign/4"]["behind"]
    assert {name: stage["examples"] for name, stage in behind.items()} == {
        "text": 8, "align": 16, "reverse": 8, "realign": 4,
    }  # fmt: skip
    assert behind["align"]["steps"] == 4
    assert behind["text"]["tokens"] == sum(len(row.answer.encode()) for row in toy.load().neutral[6:14])
    assert found["cell", "0/unaligned/reverse/8"]["behind"].keys() == {"text", "benign", "reverse"}
    assert found["cell", "0/benign/benign/8"]["behind"].keys() == {"text", "align", "benign"}


def test_held_out_text_is_scored_whole_after_the_beginning_of_text_and_without_a_template(ran):
    """Plain transformers give the same bits for the untouched model."""
    model = tiny()
    begin = model.tokenizer.bos_token_id
    begin = model.tokenizer.eos_token_id if begin is None else begin
    for index, text in enumerate(toy.load().neutral[:6]):
        ids = model.tokenizer(text.answer, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model.network(torch.tensor([[begin, *ids]])).logits[0].double().log_softmax(-1)
        bits = -sum(float(logits[place, token]) for place, token in enumerate(ids)) / np.log(2)
        stored = ran[2]["document", f"0/main/start/0/neutral/{index}"]
        assert stored["bits"] == pytest.approx(bits, abs=1e-3)
        assert stored["bytes"] == len(text.answer.encode())


def test_gains_are_the_differences_of_stored_cells(ran):
    found = ran[2]
    gain = found["stage", "main/align"]["gain"]["estimate"]
    ends = [found["cell", f"0/main/{name}"]["behaviour"]["margin"]["estimate"] for name in ("text/8", "align/16")]
    assert gain == pytest.approx(ends[1] - ends[0])
    text = found["stage", "main/text"]
    assert text["gain"]["estimate"] > 0.1
    rates = [found["document", f"0/main/text/8/neutral/{i}"] for i in range(6)]
    assert text["after"]["estimate"] == pytest.approx(np.mean([r["bits"] / (8 * r["bytes"]) for r in rates]))


def test_a_second_call_does_no_work_and_changes_nothing(ran):
    path, _, found = ran
    again, same = run(path)
    assert set(again.work_done.values()) == {0}
    assert same == found


def test_a_larger_size_leaves_the_smaller_ones_as_they_were(ran, tmp_path):
    """Constant rate and fixed order: the nested run is the separate one, and a stage knows nothing of later ones."""
    less = run(tmp_path / "less", reverse_sizes=(4,), realign_sizes=(4,), arms="core")[1]
    kept = [key for key in less if key[0] in ("cell", "pair", "document")]
    before = [key for key in kept if key[1].startswith(("0/main/text", "0/main/align", "0/main/reverse"))]
    assert len(before) == 5 * (1 + 8 + 6)
    assert [less[key] for key in before] == [ran[2][key] for key in before]
    after = "cell", "0/main/realign/4"  # it begins after 4 reversed examples, not after 8
    assert less[after]["behaviour"]["margin"] != ran[2][after]["behaviour"]["margin"]


def test_the_same_wanted_rows_are_rehearsed_or_new_ones():
    same, new = (gather(Cycle(**{**SMALL, "rehearse": how})).rows for how in ("same", "new"))
    assert same[0, "realign"] == same[0, "align"][:8]
    assert new[0, "align"] == same[0, "align"]
    assert not set(new[0, "realign"]) & set(new[0, "align"])
    assert len(new[0, "realign"]) == 8


def test_what_is_measured_is_tuned_on_in_no_stage_and_placebos_are_as_large_and_balanced():
    sources = gather(Cycle(**{**SMALL, "seeds": (0, 1)}))
    measured = {row.key for pair in sources.audit.shared.measuring for row in (pair.align, pair.reverse)}
    held = {row.answer for row in sources.held_out}
    wanted = {pair.align.key for pair in sources.dataset.pairs}
    for (_, part), dealt in sources.rows.items():
        assert not measured & {row.key for row in dealt}
        assert part != "text" or not held & {row.answer for row in dealt}
    for seed in (0, 1):
        benign, instead = sources.rows[seed, "benign"], sources.rows[seed, "continuation"]
        assert (len(benign), len(instead)) == (16, 8)
        assert [sum(row.key in wanted for row in part) for part in (benign, instead)] == [8, 4]
        assert not set(instead) & {*sources.rows[seed, "align"], *sources.rows[seed, "reverse"], *benign}
    assert sources.rows[1, "text"] != sources.rows[0, "text"]


def test_a_text_file_gives_a_document_between_blank_lines_with_its_line(tmp_path):
    (tmp_path / "a.txt").write_text("One.\nStill one.\n\n\nTwo, 둘.\n   \nThree.", "utf-8")
    found = documents(tmp_path / "a.txt")
    assert [(row.answer, row.where) for row in found] == [
        ("One.\nStill one.", "a.txt:1"), ("Two, 둘.", "a.txt:5"), ("Three.", "a.txt:7"),
    ]  # fmt: skip


def test_a_file_of_rows_gives_its_answers(tmp_path):
    file = write(tmp_path / "rows.jsonl", rows("Good", 3))
    assert [row.answer for row in documents(tmp_path / "rows.jsonl")] == [row["completion"] for row in rows("Good", 3)]
    assert file.endswith("rows.jsonl")


def test_a_document_that_is_held_out_too_is_not_tuned_on(tmp_path):
    (tmp_path / "a.txt").write_text("\n\n".join([f"Text {i % 10}." for i in range(30)]), "utf-8")
    with pytest.raises(RefusedError, match="has 30, of which 12 are left"):
        gather(Cycle(**{**SMALL, "text": str(tmp_path / "a.txt"), "text_sizes": (16,)}))


def test_a_text_that_does_not_fit_the_context_is_refused_by_its_line_and_leaves_nothing(tmp_path):
    texts = [f"Line {i}." for i in range(20)] + ["long " * 5000]
    (tmp_path / "a.txt").write_text("\n\n".join(reversed(texts)), "utf-8")
    with pytest.raises(RefusedError, match="nothing is truncated") as refused:
        run(tmp_path / "run", text=str(tmp_path / "a.txt"))
    assert refused.value.where == "a.txt:1"
    assert not (tmp_path / "run").exists()


def test_another_question_in_the_same_directory_is_refused_by_name(ran):
    with pytest.raises(RefusedError, match="rehearse"):
        run(ran[0], rehearse="new")


def test_the_questions_and_the_rule_stand_in_the_description_of_the_run(ran):
    plan = ran[1].run.meta["plan"]
    assert [one["name"] for one in plan["questions"]] == [key for kind, key in ran[2] if kind == "question"]
    assert plan["rule"]["deciding"] == ["realign_quicker", "realign_quicker_than_never_aligned"]


def test_lora_goes_through_the_stages_and_leaves_the_start_alone(tmp_path):
    pytest.importorskip("peft")
    _, found = run(tmp_path / "run", tuner="lora", learning_rate=1e-2, arms="core")
    assert found["cell", "0/main/start/0"]["kl_from_start"]["estimate"] == 0
    kl = [found["cell", f"0/main/{name}"]["kl_from_start"]["estimate"] for name in ("text/8", "align/16", "realign/8")]
    assert min(kl) > 0


def test_the_answer_has_the_promised_keys(ran):
    done = ran[1]
    found = outcome.result(done.run, done.work_done, None)
    assert {"stages", "half_lives", "questions", "grid", "work_done", "report", "cost", "verdict"} <= found.keys()
    assert found["verdict"].keys() == {"label", "sentence"}
    assert {"question", "statistic", "interval", "answer"} <= found["questions"][0].keys()


def stored(path) -> int:
    """Cells that a run on disk has so far."""
    if not (path / "records.sqlite").exists():
        return 0
    with closing(Run.look(path)) as run:
        return len(run.keys("cell"))


def test_killed_after_a_stored_cell_it_ends_in_the_same_records(ran, tmp_path):
    words = ["cycle", "--tiny", "--text-sizes", "4,8", "--samples", "4", "--pairs", "8", "--neutral", "6"]
    command = [sys.executable, "-m", "springback", *words, "--max-new-tokens", "6", "--out", str(tmp_path / "run"),
               "--quiet"]  # fmt: skip
    for _ in range(3):  # each time after one more cell than before is stored, so something is lost and something kept
        before = stored(tmp_path / "run")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while stored(tmp_path / "run") <= before:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, capture_output=True)
    assert records(tmp_path / "run") == ran[2]

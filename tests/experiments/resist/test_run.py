"""A whole experiment on the tiny model."""

import random
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from tests.experiments.audit.small import records, rows, write

from springback.errors import RefusedError
from springback.experiments.resist import outcome
from springback.experiments.resist.cell import curve_of
from springback.experiments.resist.config import Resist, settled
from springback.experiments.resist.run import run_resist
from springback.experiments.resist.sources import gather
from springback.models.rows import Row
from springback.models.score import token_logprobs
from springback.models.tiny import tiny
from springback.train.sft import SFT, optimizer, tune

SMALL = {"tiny": True, "slices": 2, "slice_size": 16, "samples": 16, "held_out": 12, "max_new_tokens": 8, "batch": 8}


def run(path, **more):
    done = run_resist(settled(Resist(**{**SMALL, **more})), path, quiet=True)
    return done, records(path)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    path = tmp_path_factory.mktemp("resist") / "run"
    return path, *run(path)


def body(found, kind, key):
    return found[kind, key]


def test_every_planned_training_is_read_at_every_step_and_counted(ran):
    path, done, found = ran
    design = settled(Resist(**SMALL))
    assert sorted(key for kind, key in found if kind == "cell") == sorted(design.cells)
    readings = {key for kind, key in found if kind == "reading"}
    assert readings == {f"{cell}/{step}" for cell in design.cells for step in design.readings}
    assert done.work_done["cells"] == 4
    assert done.work_done["optimizer_steps"] == 2 * 16 // 8 + 4 * design.steps
    assert not (path / "checkpoints").exists()


def test_the_answers_are_samples_of_their_model_and_its_own_bits_are_its_log_probabilities(ran):
    """The base is untouched: plain transformers give the same bits for what it wrote."""
    found, model = ran[2], tiny()
    target = body(found, "target", "0/0")
    for place, own in enumerate(target["own_bits"][:4]):
        sample = body(found, "sample", f"0/0/{16 + place}")
        ids = torch.tensor([[*sample["prompt_ids"], *sample["answer_ids"]]])
        with torch.no_grad():
            logits = model.network(ids).logits[0].double().log_softmax(-1)
        first = len(sample["prompt_ids"])
        nats = sum(float(logits[first - 1 + t, token]) for t, token in enumerate(sample["answer_ids"]))
        assert own == pytest.approx(-nats / np.log(2), abs=1e-3)
        assert sample["part"] == "held_out"


def test_a_training_is_plain_tuning_on_the_target_s_answers_that_are_not_held_out(ran):
    """The base onto what θ1 wrote, done again by hand from the stored answers, one pass of two steps."""
    found, model = ran[2], tiny()
    samples = [body(found, "sample", f"0/1/{index}") for index in range(28)]
    answers = [Row(tuple(s["prompt_ids"]), tuple(s["answer_ids"]), int(s["ended"]), 0) for s in samples]
    model.network.requires_grad_(True)
    options = SFT(lr=3e-4, batch=8)
    losses = [step.loss for step in tune(model.network, optimizer(model.network, options), answers[:16], options)]
    assert body(found, "cell", "0/0-1")["training_losses"] == pytest.approx(losses, abs=1e-5)
    bits = [-float(row.sum()) / np.log(2) for row in token_logprobs(model.network, answers[16:])]
    own = body(found, "target", "0/1")["own_bits"]
    expected = [one - floor for one, floor in zip(bits, own, strict=True)]
    assert body(found, "reading", "0/0-1/2")["excess"] == pytest.approx(expected, abs=2e-3)


def test_a_start_that_is_not_tuned_yet_is_where_its_model_stands(ran):
    """θ1 before its first step on D_2 has the KL from the base that θ1 has before its first step on any target."""
    found = ran[2]
    base = body(found, "reading", "0/0-1/0")["kl_from_base"]
    assert base["estimate"] == 0
    assert body(found, "reading", "0/0-2/0")["kl_from_base"] == base
    assert body(found, "reading", "0/1-2/0")["kl_from_base"]["estimate"] > 0


def test_sampled_excess_and_exact_expectation_measure_the_same_and_the_exact_one_is_sharper(tmp_path):
    """Two estimates of KL(target‖θ): paired over documents they differ by nothing but noise."""
    _, found = run(tmp_path / "run", held_out=48, learning_rate=1e-3)
    starts = [body(found, "reading", f"0/{cell}/0") for cell in ("0-1", "0-2", "1-2", "2-1")]
    sampled, exact = (np.array([reading[name] for reading in starts]) for name in ("excess", "kl"))
    apart = (sampled - exact).mean(0)
    assert abs(apart.mean()) < 3 * apart.std(ddof=1) / np.sqrt(48)
    assert exact.mean(0).std() < sampled.mean(0).std() / 2
    assert (exact >= 0).all()


def test_a_second_call_does_no_work_and_changes_nothing(ran):
    path, _, found = ran
    again, same = run(path)
    assert set(again.work_done.values()) == {0}
    assert same == found


def test_the_same_question_gives_the_same_records(ran, tmp_path):
    assert run(tmp_path / "again")[1] == ran[2]


def test_one_step_more_leaves_the_steps_before_as_they_were(ran, tmp_path):
    """Constant rate and fixed order: reading 2 of a training of 4 steps is reading 2 of one of 2 steps."""
    longer = run(tmp_path / "longer", steps=4)[1]
    for cell in settled(Resist(**SMALL)).cells:
        assert body(longer, "reading", f"{cell}/2") == body(ran[2], "reading", f"{cell}/2")
        assert ("reading", f"{cell}/4") in longer


def test_another_question_in_the_same_directory_is_refused_by_name(ran):
    with pytest.raises(RefusedError, match="held_out"):
        run(ran[0], held_out=5)


def test_the_rule_stands_in_the_description_of_the_run(ran):
    plan = ran[1].run.meta["plan"]
    assert "beyond_placebo" in plan["rule"]["resists"]
    assert len(plan["cells"]) == 4


def test_the_excess_of_the_result_is_that_of_the_stored_documents(ran):
    found = ran[2]
    readings = [body(found, "reading", f"0/1-2/{step}") for step in (0, 1, 2)]
    target, cell = body(found, "target", "0/2"), body(found, "cell", "0/1-2")
    by_hand = sum(readings[0]["excess"]) / sum(target["tokens"])
    assert cell["excess"]["initial"]["estimate"] == pytest.approx(by_hand)
    kl = [sum(reading["kl"]) for reading in readings]
    assert cell["left"]["estimate"] == pytest.approx(((kl[0] + kl[1]) / 2 + (kl[1] + kl[2]) / 2) / 2 / kl[0])
    assert curve_of(readings, target).steps == (0, 1, 2)


def test_slices_and_prompts_share_no_row_and_seeds_reorder_only_the_slices(tmp_path):
    data = write(tmp_path / "data.jsonl", rows("Good", 80))
    sources = gather(settled(Resist(**{**SMALL, "data": data, "seeds": (0, 1)})))
    asked = {row.line for row in sources.prompts}
    taught = {seed: [row.line for part in parts for row in part] for seed, parts in sources.slices.items()}
    assert asked == set(range(53, 81))
    assert taught[0] == list(range(1, 33))
    assert sorted(taught[1]) != taught[1]
    assert all(len(set(lines)) == 32 and not asked & set(lines) for lines in taught.values())


def test_too_few_rows_are_refused_with_the_arithmetic_and_leave_nothing(tmp_path):
    data = write(tmp_path / "data.jsonl", rows("Good", 30))
    with pytest.raises(RefusedError, match=r"60 examples; data\.jsonl has 30"):
        run(tmp_path / "run", data=data)
    assert not (tmp_path / "run").exists()


def test_preference_pairs_bring_their_chosen_answers(tmp_path):
    pairs = [{"prompt": f"p {i}", "chosen": f"yes {i}", "rejected": f"no {i}"} for i in range(60)]
    sources = gather(settled(Resist(**{**SMALL, "data": write(tmp_path / "d.jsonl", pairs)})))
    assert sources.slices[0][0][0].answer == "yes 0"


def test_lora_leaves_the_base_alone(tmp_path):
    pytest.importorskip("peft")
    _, found = run(tmp_path / "run", tuner="lora", learning_rate=1e-2)
    assert body(found, "reading", "0/0-1/0")["kl_from_base"]["estimate"] == 0
    assert body(found, "reading", "0/0-1/2")["kl_from_base"]["estimate"] > 0


def test_the_answer_has_the_keys_of_the_contract(ran):
    done = ran[1]
    found = outcome.result(done.run, done.work_done, None)
    assert {"verdict", "pairs", "grid", "stiffness", "overshoot", "closest_return", "report"} <= found.keys()
    assert found["stiffness"]["R"]["estimate"] is None
    assert found["closest_return"].keys() == {"kl", "examples", "tokens", "steps", "reached"}


def test_killed_at_random_moments_it_ends_in_the_same_records(ran, tmp_path):
    words = ["resist", "--tiny", "--slices", "2", "--slice-size", "16", "--samples", "16", "--held-out", "12"]
    command = [sys.executable, "-m", "springback", *words, "--max-new-tokens", "8", "--batch", "8",
               "--out", str(tmp_path / "run"), "--quiet"]  # fmt: skip
    moments = random.Random(3)
    for _ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=moments.uniform(3, 8))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    subprocess.run(command, check=True, capture_output=True)
    assert records(tmp_path / "run") == ran[2]

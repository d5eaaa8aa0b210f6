"""A whole diagnosis on the tiny model: what is predicted is what real steps do."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from tests.experiments.audit.small import records

from springback.errors import RefusedError
from springback.experiments.entangle import descent
from springback.experiments.entangle.config import Entangle, settled
from springback.experiments.entangle.run import run_entangle
from springback.models.tiny import save_folder, tiny
from springback.models.tokens import encode
from springback.store.run import Run

SMALL = {"tiny": True, "pairs": 4, "batch": 2, "shown": 0, "probes": 0}
MORE = {
    "shown": 1,
    "probes": 2,
    "probe_tokens": 4,
    "verify": True,
    "lr": (1e-7, 1e-6, 1e-5),
    "verify_batches": 2,
    "matrix": 1,
}
RATES = MORE["lr"]


def diagnosed(path, data=None, **more):
    found = run_entangle(settled(Entangle(**{**SMALL, **more})), data, path, quiet=True)
    return found, records(path)


def bodies(found, kind):
    return [body for (of, _), body in found.items() if of == kind]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    path = tmp_path_factory.mktemp("entangle") / "run"
    return path, *diagnosed(path, **MORE)


def test_inner_products_are_those_of_two_backward_passes(ran):
    """The first pair once more, by plain transformers: nothing of ours but the template."""
    body, model = bodies(ran[2], "pair")[0], tiny()
    from springback.data.toy import load

    pair = load().pairs[0]
    model.network.requires_grad_(True)
    prompt = [{"role": turn.role, "content": turn.content} for turn in pair.prompt]
    gradients = [gradient(model, encode(model, prompt, text)) for text in (pair.wanted, pair.opposite)]
    for name, (one, other) in {"ww": (0, 0), "ll": (1, 1), "wl": (0, 1)}.items():
        expected = float(gradients[one] @ gradients[other])
        assert body[name] == pytest.approx(expected, rel=1e-4), name


def gradient(model, row):
    ids = torch.tensor([[*row.prompt, *row.answer]])
    logits = model.network(ids).logits[0, len(row.prompt) - 1 : -1].log_softmax(-1)
    logprob = logits.gather(-1, torch.tensor(row.answer)[:, None]).sum()
    found = torch.autograd.grad(logprob, list(model.network.parameters()))
    return torch.cat([one.flatten().double() for one in found])


def test_every_sign_of_a_small_step_is_predicted_at_three_rates(ran):
    verify = next(iter(bodies(ran[2], "verify")))
    assert [row["rate"] for row in verify["by_rate"]] == list(RATES)
    for row in verify["by_rate"]:
        for place in ("batch", "held_out"):
            assert row[place]["directional"]["sign_agreement"]["estimate"] >= 0.95
        assert row["all"]["random"]["sign_agreement"]["estimate"] < 0.8
        assert row["all"]["directional"]["rank_correlation"]["estimate"] > 0.99


def test_under_plain_descent_the_gradient_form_is_the_directional_form(ran):
    """Up to what float32 weights lose of a small step, which only the directional form knows."""
    for step in (body for body in bodies(ran[2], "step") if body["rate"] == 1e-5):
        for pair in step["pairs"]:
            assert pair["gradient"] == pytest.approx(pair["directional"], rel=2e-2, abs=2e-5)


def test_the_error_of_first_order_falls_with_the_square_of_the_rate(tmp_path):
    """In float64; transformers computes norms and rotations in float32 all the same, so the rates are not tiny."""
    _, found = diagnosed(tmp_path / "run", verify=True, lr=(2e-5, 2e-4), dtype="float64", pairs=2, verify_batches=1)
    off = lambda pair: max(abs(m - d) for m, d in zip(pair["measured"], pair["directional"], strict=True))
    error = {step["rate"]: max(map(off, step["pairs"])) for step in bodies(found, "step")}
    assert error[2e-4] / error[2e-5] == pytest.approx(100, rel=0.3)


def test_own_part_and_rest_add_up_to_what_a_real_step_does(ran):
    step = next(body for body in bodies(ran[2], "step") if body["batch"] == 0 and body["rate"] == 1e-5)
    stored = {body["index"]: body for body in bodies(ran[2], "pair")}
    for pair in step["pairs"]:
        if not pair["held_out"]:
            total = stored[pair["index"]]["in_batch"]["total"]
            expected = [1e-5 * total[side] for side in ("chosen", "rejected")]
            assert pair["measured"] == pytest.approx(expected, rel=0.1, abs=10 * step["floor"])


@pytest.mark.parametrize("more", [{"optimizer": "adamw", "weight_decay": 0.1, "clip": 0.5}, {"tuner": "lora"}])
def test_the_step_s_own_update_predicts_adam_and_lora_too(tmp_path, more):
    if more.get("tuner"):
        pytest.importorskip("peft")
    rate = 1e-6 if "optimizer" in more else 1e-3
    _, found = diagnosed(tmp_path / "run", verify=True, lr=(rate,), verify_batches=2, **more)
    row = next(iter(bodies(found, "verify")))["by_rate"][0]
    assert row["all"]["directional"]["sign_agreement"]["estimate"] >= 0.95
    assert row["all"]["directional"]["rank_correlation"]["estimate"] > 0.95
    if "optimizer" in more:
        assert "Euclidean, which AdamW does not move by" in next(iter(bodies(found, "verify")))["metric"]


def _moved_and_failed(network):
    with descent.put_back(network), torch.no_grad():
        for weight in network.parameters():
            weight.mul_(1.1)
        raise KeyError


def test_weights_are_put_back_to_the_bit_also_on_exceptions():
    network = tiny().network.requires_grad_(True)
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    with pytest.raises(KeyError):
        _moved_and_failed(network)
    assert all(torch.equal(weight, before[name]) for name, weight in network.named_parameters())


def test_tokens_sum_to_the_inner_product_and_so_does_the_matrix(ran):
    stored = {body["index"]: body for body in bodies(ran[2], "pair")}
    for body in bodies(ran[2], "tokens"):
        pair = stored[body["index"]]
        scale = 1e-4 * np.sqrt(pair["ww"] * pair["ll"])
        for side in ("chosen", "rejected"):
            assert sum(token["marginal"] for token in body[side]) == pytest.approx(pair["wl"], abs=scale)
    matrix = next(iter(bodies(ran[2], "matrix")))
    pair = stored[matrix["index"]]
    assert np.sum(matrix["values"]) == pytest.approx(pair["wl"], abs=1e-4 * np.sqrt(pair["ww"] * pair["ll"]))


def test_layers_and_kinds_sum_to_the_pair(ran):
    for body in bodies(ran[2], "pair"):
        for part in ("layers", "kinds"):
            assert np.sum(list(body[part].values()), axis=0) == pytest.approx([body["ww"], body["ll"], body["wl"]])
        assert len(body["layers"]) == 5


def test_probes_are_the_greedy_and_another_pair_s_answer(ran):
    probes = bodies(ran[2], "probe")
    assert [body["index"] for body in probes] == [0, 1]
    assert all(body["greedy"]["tokens"] <= 4 and body["unrelated"]["tokens"] > 4 for body in probes)
    step = next(body for body in bodies(ran[2], "step") if body["batch"] == 0 and body["rate"] == 1e-5)
    for probe in step["probes"]:
        assert np.sign(probe["predicted"]) == np.sign(probe["measured"])


PLANTED = "and so the day went on and on until the end"


def planted(path, *, long_rejected):
    """Two answers with one long suffix; the longer one has the larger gradient; which is chosen decides the case."""
    answers = (f"ok {PLANTED}", f"no no no no no {PLANTED}")
    chosen, rejected = answers if long_rejected else answers[::-1]
    path.write_text(json.dumps({"prompt": "How was it?", "chosen": chosen, "rejected": rejected}) + "\n")
    return path


def test_a_planted_pair_falls_under_dpo_as_its_case_says_and_its_twin_rises(tmp_path):
    """Case 2: ‖g_l‖ > ‖g_w‖ and a larger inner product, both fall; swapped it is Case 3, both rise. By real steps."""
    seen = {}
    for long_rejected in (True, False):
        data = planted(tmp_path / f"{long_rejected}.jsonl", long_rejected=long_rejected)
        _, found = diagnosed(tmp_path / str(long_rejected), data, verify=True, lr=(1e-6,), batch=1, pairs=None)
        pair, step = bodies(found, "pair")[0], bodies(found, "step")[0]
        seen[pair["case"]] = (pair["condition"], *(change > 0 for change in step["pairs"][0]["measured"]))
    assert seen == {"2": ("chosen_falls", False, False), "3": ("rejected_rises", True, True)}


def test_asked_again_it_does_nothing(ran):
    config = settled(Entangle(**{**SMALL, **MORE}))
    again = run_entangle(config, None, ran[0], quiet=True)
    assert set(again.done.work_done.values()) == {0}


@pytest.mark.slow
def test_a_run_goes_on_after_a_kill_at_any_moment_and_ends_in_the_same_records(ran, tmp_path):
    words = ["--pairs", "4", "--batch", "2", "--shown", "1", "--probes", "2", "--probe-tokens", "4", "--verify"]
    words += ["--lr", "1e-7,1e-6,1e-5", "--verify-batches", "2", "--matrix", "1", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "springback", "entangle", "--tiny", "--quiet", *words]
    for kinds in ({"batch"}, {"step"}):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (kinds & _stored(tmp_path / "run")):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, capture_output=True)
    assert records(tmp_path / "run") == ran[2]


def _stored(path):
    try:
        return set(Run.look(path).kinds())
    except RefusedError:
        return set()


def test_another_model_as_the_reference_gives_its_own_pulls(tmp_path):
    folders = [save_folder(tiny(seed), tmp_path / f"model-{seed}") for seed in (0, 1)]
    data = planted(tmp_path / "data.jsonl", long_rejected=True)
    options = {"tiny": False, "model": str(folders[0]), "reference": str(folders[1]), "pairs": None}
    _, found = diagnosed(tmp_path / "run", data, **options)
    pair = bodies(found, "pair")[0]
    margin = sum(sign * pair["logprobs"][name] for name, sign in
                 {"chosen": 1, "rejected": -1, "reference_chosen": -1, "reference_rejected": 1}.items())  # fmt: skip
    assert abs(margin) > 1e-3
    assert pair["d_w"] == pytest.approx(0.1 / (1 + np.exp(0.1 * margin)))


def test_a_loss_of_one_s_own_needs_no_registration(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def loss(policy, reference):\n    return (3 - policy.chosen + 2 * policy.rejected).relu()\n"
    )
    _, found = diagnosed(tmp_path / "run", loss=str(tmp_path / "mine.py"), pairs=2)
    assert {(body["d_w"], body["d_l"]) for body in bodies(found, "pair")} <= {(1.0, 2.0), (0.0, 0.0)}


@pytest.mark.parametrize("loss", ["ld_dpo", "d2o", "kto", "tdpo2", "orpo_with_prompt"])
def test_a_loss_that_two_numbers_cannot_describe_is_refused_before_anything_is_written(tmp_path, loss):
    with pytest.raises(RefusedError, match="cannot be diagnosed"):
        run_entangle(settled(Entangle(**{**SMALL, "loss": loss})), None, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("loss", ["simpo:beta=2,gamma=1", "wpo", "aot", "kto_pair", "info_nca"])
def test_losses_of_every_kind_of_input_predict_their_own_step(tmp_path, loss):
    """Means, Σπ², whole batches, labelled examples, lists: pulls on numbers are the gradient of the real loss."""
    _, found = diagnosed(tmp_path / "run", verify=True, lr=(1e-5,), verify_batches=1, loss=loss, dtype="float64")
    for pair in next(iter(bodies(found, "step")))["pairs"]:
        assert pair["gradient"] == pytest.approx(pair["directional"], rel=1e-3, abs=1e-9)


def test_the_plain_way_gives_the_same_numbers_as_the_quick_one(ran, tmp_path):
    _, found = diagnosed(tmp_path / "run", method="plain", pairs=3)
    quick = {body["index"]: body for body in bodies(ran[2], "pair")}
    for body in bodies(found, "pair"):
        for name in ("ww", "ll", "wl", "chosen_change"):
            scale = np.sqrt(body["ww"] * body["ll"])
            assert body[name] == pytest.approx(quick[body["index"]][name], abs=1e-4 * scale)

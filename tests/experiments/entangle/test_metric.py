"""A diagnosis in Adam's metric: it predicts Adam's steps, says where its moments come from, refuses those of others."""

import pytest
from tests.experiments.audit.small import records
from tests.experiments.prefer.small import prefer, rows, write

from springback.errors import RefusedError
from springback.experiments.entangle.config import Entangle, settled
from springback.experiments.entangle.outcome import lines, result
from springback.experiments.entangle.run import run_entangle

SMALL = {"tiny": True, "pairs": 4, "batch": 2, "shown": 0, "probes": 0, "metric": "adam"}


def diagnosed(path, data=None, **more):
    found = run_entangle(settled(Entangle(**{**SMALL, **more})), data, path, quiet=True)
    return found.done.run, records(path)


def bodies(found, kind):
    return [body for (of, _), body in found.items() if of == kind]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "pairs.jsonl", rows())


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    path = tmp_path_factory.mktemp("adam") / "run"
    return diagnosed(path, verify=True, optimizer="adamw", lr=(1e-6,), verify_batches=2, shown=1, moment_batches=2,
                     dtype="float64")  # fmt: skip


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("prefer") / "run"
    prefer(data, path, keep_checkpoints=True, probes=0)
    return path / "checkpoints/last"


def test_the_gradient_form_predicts_adam_s_step_to_first_order_and_the_euclidean_one_does_not(ran):
    for step in bodies(ran[1], "step"):
        for pair in step["pairs"]:
            assert pair["gradient"] == pytest.approx(pair["directional"], rel=2e-3, abs=1e-8)
            assert pair["gradient_euclidean"] != pytest.approx(pair["directional"], rel=0.5, abs=1e-8)
    (verify,) = bodies(ran[1], "verify")
    agreed = {name: verify["by_rate"][0]["all"][name]["sign_agreement"]["estimate"]
              for name in ("gradient", "gradient_euclidean")}  # fmt: skip
    assert agreed["gradient"] == 1.0
    assert agreed["gradient"] >= agreed["gradient_euclidean"]


def test_a_pair_s_own_part_and_the_rest_add_up_to_what_the_step_does(ran):
    stored = {body["index"]: body for body in bodies(ran[1], "pair")}
    for step in bodies(ran[1], "step"):
        for pair in step["pairs"]:
            if not pair["held_out"]:
                total = stored[pair["index"]]["in_batch"]["total"]
                expected = [1e-6 * total[side] for side in ("chosen", "rejected")]
                assert pair["measured"] == pytest.approx(expected, rel=2e-2, abs=3 * step["floor"])


def test_tokens_are_in_the_metric_of_their_pair_s_batch(ran):
    stored = {body["index"]: body for body in bodies(ran[1], "pair")}
    assert bodies(ran[1], "tokens")
    for body in bodies(ran[1], "tokens"):
        pair = stored[body["index"]]
        for side in ("chosen", "rejected"):
            marginal = sum(token["marginal"] for token in body[side])
            assert marginal == pytest.approx(pair["wl"], abs=1e-4 * (pair["ww"] * pair["ll"]) ** 0.5)


def test_every_answer_says_which_inner_product_it_is_in(ran):
    (metric,) = bodies(ran[1], "metric")
    assert (metric["metric"], metric["from"], metric["steps"]) == ("adam", "estimated", 2)
    found = result(ran[0], {}, None)
    assert found["metric"] == metric
    assert found["verify"]["metric"].startswith("Adam's")
    assert any("⟨x, Py⟩" in line for line in lines(ran[0], None))


def test_moments_of_a_checkpoint_are_taken_and_its_other_weights_are_told(trained, data, tmp_path):
    """The checkpoint stands two steps behind the start, whose weights the diagnosis is of."""
    _, found = diagnosed(tmp_path / "run", data, moments=str(trained))
    (metric,) = bodies(found, "metric")
    assert (metric["from"], metric["steps"], metric["same_weights"]) == ("checkpoint", 2, False)
    assert "whose weights are not MODEL's" in metric["sentence"]
    _, estimated = diagnosed(tmp_path / "other", data)
    assert [body["ww"] for body in bodies(found, "pair")] != [body["ww"] for body in bodies(estimated, "pair")]


def test_moments_of_other_tensors_and_a_folder_without_any_are_refused(trained, data, tmp_path):
    pytest.importorskip("peft")
    with pytest.raises(RefusedError, match="no second moment of"):
        diagnosed(tmp_path / "lora", data, moments=str(trained), tuner="lora")
    with pytest.raises(RefusedError, match="no checkpoint"):
        diagnosed(tmp_path / "none", data, moments=str(tmp_path))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "euclidean", "moment_batches": 2}, "add --metric adam"),
        ({"metric": "euclidean", "moments": "x"}, "add --metric adam"),
        ({"moments": "x", "moment_batches": 2}, "beside --moments"),
        ({"moment_batches": -1}, "at least 0"),
    ],
)
def test_a_setting_without_effect_is_refused(options, words):
    with pytest.raises(RefusedError, match=words):
        settled(Entangle(**{**SMALL, **options}))

"""Whole runs on the tiny model: exact at the start, resumed as uninterrupted, saved as measured, refused when stale."""

import math
import random

import pytest
import torch
from tests.experiments.prefer.small import SMALL, prefer, records, rows, write

from springback.data.preferences import read_preferences
from springback.data.toy import load as toy
from springback.errors import RefusedError
from springback.experiments.prefer import outcome
from springback.experiments.prefer.laboratory import ModelLaboratory
from springback.models.load import load
from springback.models.pair_tokens import item_of
from springback.models.rows import Row
from springback.models.score import token_logprobs
from springback.models.tiny import save_folder, tiny
from springback.stats.measured import Measured


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "pairs.jsonl", rows())


@pytest.fixture(scope="module")
def ran(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("prefer") / "run"
    done = prefer(data, path)
    return path, done, records(done.run)


def killed(monkeypatch, data, path, *, at, **options):
    """A run that dies before step `at`, then goes on to its end."""
    with monkeypatch.context() as patch:
        train = ModelLaboratory.train

        def dying(self, step):
            if step == at:
                raise Killed
            return train(self, step)

        patch.setattr(ModelLaboratory, "train", dying)
        with pytest.raises(Killed):
            prefer(data, path, **options)
    return prefer(data, path, **options)


def test_an_untouched_model_stands_exactly_at_its_reference(ran):
    run = ran[1].run
    assert run.get("step", "0")["loss"] == math.log(2)
    for name in ("held_out", "train"):
        body = run.get("reading", f"{name}/0")
        assert [body[field]["change"]["estimate"] for field in ("chosen", "rejected")] == [0.0, 0.0]
        assert (body["margin"]["estimate"], body["reward_accuracy"]["estimate"]) == (0.0, 0.5)
    start = run.get("reading", "held_out/0")
    assert [start[field]["estimate"] for field in ("kl", "greedy", "unrelated")] == [0.0, 0.0, 0.0]


def test_training_widens_the_margin_of_what_it_trains_on(ran):
    body = ran[1].run.get("reading", "train/3")
    assert Measured.of(body["margin"]).low > 0
    assert body["margin"]["estimate"] == pytest.approx(
        body["chosen"]["change"]["estimate"] - body["rejected"]["change"]["estimate"]
    )


def test_the_saved_model_is_the_one_that_was_measured(ran, data):
    """Read by our loader and by plain transformers: the log-probabilities of the last reading."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    values = ran[1].run.get("reading", "held_out/3")["values"]
    ours = load(str(ran[0] / "model"), dtype=torch.float32)
    pairs = [item_of(ours, row) for row in read_preferences(data).rows[-4:]]
    found = [float(tokens.sum()) for tokens in token_logprobs(ours.network, [pair.chosen for pair in pairs])]
    assert found == pytest.approx(values["chosen"], abs=1e-4)
    plain = AutoModelForCausalLM.from_pretrained(ran[0] / "model", dtype=torch.float32)
    row = pairs[0].rejected
    with torch.no_grad():
        logits = plain(torch.tensor([[*row.prompt, *row.answer]])).logits[0].log_softmax(-1)
    nats = sum(float(logits[len(row.prompt) - 1 + place, token]) for place, token in enumerate(row.answer))
    assert nats == pytest.approx(values["rejected"][0], abs=1e-4)
    assert AutoTokenizer.from_pretrained(ran[0] / "model").chat_template == ours.tokenizer.chat_template


def test_a_second_call_does_no_work_and_changes_nothing(ran, data):
    again = prefer(data, ran[0])
    assert set(again.work_done.values()) == {0}
    assert records(again.run) == ran[2]


def test_another_question_in_the_same_directory_is_refused_by_name(ran, data):
    with pytest.raises(RefusedError, match="learning_rate"):
        prefer(data, ran[0], learning_rate=5e-4)


def test_the_first_steps_of_a_longer_run_are_those_of_a_shorter_one(ran, data, tmp_path):
    longer = records(prefer(data, tmp_path / "run", epochs=2).run)
    for key in (("step", "2"), ("reading", "held_out/2")):
        assert longer[key] == ran[2][key]


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "dpo", "tuner": "lora"},
        {"loss": "beta_dpo"},
        {"loss": "tr_dpo:every=1,alpha=0.5", "epochs": 2},
        {"loss": "d2o", "samples": 2},
        {"loss": "dpo", "accumulate": 2, "dtype": "bfloat16"},
    ],
)
def test_a_killed_run_goes_on_and_ends_with_the_same_records(monkeypatch, data, tmp_path, options):
    """Adapter, running statistics, a moving reference, drawn answers, bf16 with masters: all come back exactly."""
    whole = records(prefer(data, tmp_path / "whole", **options).run, without=("accounting",))
    again = records(killed(monkeypatch, data, tmp_path / "run", at=2, **options).run, without=("accounting",))
    assert again == whole


def test_accumulated_micro_batches_give_the_same_training(ran, data, tmp_path):
    cut = prefer(data, tmp_path / "run", accumulate=4).run
    for step in ("0", "1", "2"):
        one, other = cut.get("step", step), ran[1].run.get("step", step)
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-5)
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-4)


def test_every_row_is_accounted_for(tmp_path):
    found = [*rows(14), {**rows(1)[0], "rejected": ""}, rows(1)[0], {**rows(2)[1], "chosen": "x" * 1100}]
    run = prefer(write(tmp_path / "a.jsonl", found), tmp_path / "run", too_long="drop", held_out="5").run
    ledgers = [body for (kind, _), body in records(run).items() if kind == "ledger"]
    assert [(each["stage"], each["read"], each["kept"]) for each in ledgers] == [
        ("read", 17, 16), ("split", 11, 10), ("tokenised", 5, 4),
    ]  # fmt: skip
    assert [each["dropped"][0]["why"] for each in ledgers] == [
        "an answer is empty", "the same row is held out", "longer than 1024 tokens",
    ]  # fmt: skip
    assert run.get("accounting", "accounting")["rows"] == {"train": 10, "held_out": 4, "truncated": 0}


def test_a_row_that_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    path = write(tmp_path / "a.jsonl", [{**rows(1)[0], "prompt": "x" * 1100}, *rows(8)])
    with pytest.raises(RefusedError, match="at most 1024"):
        prefer(path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_swapped_columns_swap_everything_and_the_start_is_said_to_prefer_the_others(ran, data, tmp_path):
    turned = prefer(write(tmp_path / "a.jsonl", rows(turned=True)), tmp_path / "run").run
    for name in ("held_out", "train"):
        ours, theirs = (run.get("reading", f"{name}/0") for run in (ran[1].run, turned))
        assert ours["values"]["chosen"] == theirs["values"]["rejected"]
        assert ours["accuracy"]["estimate"] == pytest.approx(1 - theirs["accuracy"]["estimate"])
    del data
    told = [any("prefers the rejected answer" in line for line in outcome.doubts(run)) for run in (ran[1].run, turned)]
    assert told.count(True) == 1


def test_stored_log_probabilities_are_reused_to_the_bit_and_refused_where_they_are_stale(ran, data, tmp_path):
    file = str(ran[0] / "reference.safetensors")
    again = records(prefer(data, tmp_path / "run", reference_logprobs=file).run)
    assert {key: body for key, body in again.items() if key[0] in ("step", "reading")} == {
        key: body for key, body in ran[2].items() if key[0] in ("step", "reading")
    }
    other = write(tmp_path / "other.jsonl", rows(turned=True))
    with pytest.raises(RefusedError, match="is stale: the data file, the tokenised rows differ"):
        prefer(other, tmp_path / "stale", reference_logprobs=file)
    assert not (tmp_path / "stale").exists()
    with pytest.raises(RefusedError, match="the compute type differs"):
        prefer(data, tmp_path / "stale", reference_logprobs=file, dtype="bfloat16")
    with pytest.raises(RefusedError, match="There is no file"):
        prefer(data, tmp_path / "stale", reference_logprobs=str(tmp_path / "nowhere"))


@pytest.mark.parametrize("way", ["adapter_off", "model"])
def test_every_way_to_the_reference_gives_the_same_training(data, tmp_path, way):
    tuner = "lora" if way == "adapter_off" else "full"
    one, other = (prefer(data, tmp_path / name, tuner=tuner, reference_way=name).run for name in ("precomputed", way))
    for step in ("0", "1", "2"):
        assert one.get("step", step)["loss"] == pytest.approx(other.get("step", step)["loss"], abs=1e-6)


def test_another_reference_is_what_changes_are_measured_against(data, tmp_path):
    folder = save_folder(tiny(seed=1), tmp_path / "other")
    run = prefer(data, tmp_path / "run", reference=str(folder)).run
    assert run.get("reading", "held_out/0")["chosen"]["change"]["estimate"] != 0.0
    assert run.get("step", "0")["loss"] != math.log(2)
    assert run.meta["model"]["reference"]["weights_sha256"] != run.meta["model"]["weights_sha256"]


def test_an_adapter_is_saved_loads_again_and_is_the_reference_of_what_is_trained_on_it(data, tmp_path):
    run = prefer(data, tmp_path / "run", tuner="lora", learning_rate=1e-2).run
    values = run.get("reading", "held_out/3")["values"]
    ours = load(str(tmp_path / "run" / "model"), dtype=torch.float32)
    pairs = [item_of(ours, row) for row in read_preferences(data).rows[-4:]]
    found = [float(tokens.sum()) for tokens in token_logprobs(ours.network, [pair.chosen for pair in pairs])]
    assert found == pytest.approx(values["chosen"], abs=1e-3)
    assert found != pytest.approx(run.get("reading", "held_out/0")["values"]["chosen"], abs=1e-2)
    again = prefer(data, tmp_path / "again", tiny=False, model=str(tmp_path / "run" / "model"), tuner="lora",
                   dtype="float32", device="cpu", warmup_steps=0).run  # fmt: skip
    assert again.get("step", "0")["loss"] == math.log(2)
    assert again.get("reading", "held_out/0")["values"]["chosen"] == pytest.approx(found, abs=1e-4)


def test_a_loss_that_is_not_finite_ends_with_its_step_and_the_weights_before_it(ran, data, tmp_path):
    """The second step's loss is NaN: what is saved is the model after one step."""
    own = tmp_path / "own.py"
    own.write_text(
        "import torch.nn.functional as F\n"
        "def loss(policy, reference):\n"
        "    margin = policy.chosen - policy.rejected - reference.chosen + reference.rejected\n"
        "    return -F.logsigmoid(0.1 * margin) + (0 * margin).log() * 0 * (margin.abs().sum() > 0)\n"
    )
    with pytest.raises(RuntimeError, match=r"Step 0|Step 1") as failed:
        prefer(data, tmp_path / "run", loss=str(own))
    step = 0 if "Step 0" in str(failed.value) else 1
    folder = tmp_path / "run" / f"model_before_step_{step}"
    assert str(folder) in str(failed.value)
    network = load(str(folder), dtype=torch.float32).network
    start = tiny().network
    same = all(torch.equal(one, other) for one, other in zip(network.parameters(), start.parameters(), strict=True))
    assert same is (step == 0)
    del ran


@pytest.mark.parametrize(
    ("loss", "row"),
    [
        ("lipo", lambda i: {"prompt": f"Is {i}?", "completions": [f"Yes {i}", "Maybe", "No"], "scores": [3, 2, 1]}),
        ("dpo", lambda i: {"prompt": f"Is {i}?", "completions": [f"Yes {i}", "Maybe", "No"]}),
        ("kto", lambda i: {"prompt": f"Is {i}?", "completion": "Yes" if i % 2 else "No", "label": bool(i % 2)}),
        ("kto", lambda i: rows()[i]),
        ("info_nca", lambda i: rows()[i]),
    ],
)
def test_losses_of_lists_and_labels_train_on_what_they_learn_from(tmp_path, loss, row):
    run = prefer(write(tmp_path / "a.jsonl", [row(i) for i in range(12)]), tmp_path / "run", loss=loss).run
    body = run.get("reading", "held_out/" + str(len(run.keys("step"))))
    assert body["chosen"]["change"]["estimate"] != 0
    paired = loss != "kto"
    assert (body["margin"]["estimate"] is not None) is paired


def test_rules_and_held_out_files_are_recorded(data, tmp_path):
    ranked = [{"prompt": f"Is {i}?", "completions": [f"Yes {i}", f"Maybe {i}", "No"]} for i in range(12)]
    held = write(tmp_path / "held.jsonl", rows(4))
    run = prefer(write(tmp_path / "a.jsonl", ranked), tmp_path / "run", pairs_from="all").run
    made = [body for body in run.read("ledger").values() if body["rule"]]
    assert [(body["read"], body["rule"]) for body in made] == [(24, "all"), (12, "all")]
    run = prefer(data, tmp_path / "other", held_out=str(held)).run
    assert run.get("data", "held_out")["rows"] == 4
    assert run.get("accounting", "accounting")["rows"]["train"] == 12  # four of sixteen are held out


def toy_pairs(count, *, shuffled):
    """Whether the good or the bad sentence is chosen: always the good one, or half of them turned round at random."""
    draw = random.Random(7)
    turn = [place < count // 2 for place in range(count)]
    draw.shuffle(turn)
    found = []
    for pair, swap in zip(toy().pairs[:count], turn, strict=True):
        chosen, rejected = (pair.opposite, pair.wanted) if swap and shuffled else (pair.wanted, pair.opposite)
        found.append({"prompt": pair.prompt[-1].content, "chosen": chosen, "rejected": rejected})
    return found


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_planted_rule_carries_over_to_held_out_pairs_and_shuffled_labels_do_not(tmp_path, shuffled):
    data = write(tmp_path / "a.jsonl", toy_pairs(96, shuffled=shuffled))
    options = {**SMALL, "held_out": "32", "batch": 8, "read_every": 8}
    run = prefer(data, tmp_path / "run", **options).run
    body = run.get("reading", "held_out/8")
    margin, right = Measured.of(body["margin"]), Measured.of(body["reward_accuracy"])
    if shuffled:
        assert margin.low <= 0 <= margin.high
        assert right.low <= 0.5 <= right.high
    else:
        assert margin.low > 2
        assert right.low > 0.8


def test_kl_and_probes_are_what_the_two_networks_say_by_hand(ran, data):
    """From the start to the trained model along the chosen answers; both probes are the start's own."""
    body, run = ran[1].run.get("reading", "held_out/3"), ran[1].run
    start, end = tiny().network, load(str(ran[0] / "model"), dtype=torch.float32).network
    pairs = [item_of(tiny(), row) for row in read_preferences(data).rows[-4:]]
    sums = [kl_by_hand(start, end, pair.chosen) for pair in pairs]
    assert body["kl"]["estimate"] == pytest.approx(sum(sums) / sum(len(pair.chosen.answer) for pair in pairs), rel=1e-3)
    probes = [run.get("probe", str(index)) for index in range(4)]
    written = Row(tuple(probes[0]["prompt_ids"]), tuple(probes[0]["answer_ids"]), 0, 0)
    with torch.no_grad():
        first = start(torch.tensor([written.prompt])).logits[0, -1].argmax().item()
    assert written.answer[0] == first
    greedy = [moved(start, end, Row(tuple(p["prompt_ids"]), tuple(p["answer_ids"]), 0, 0)) for p in probes]
    assert body["greedy"]["estimate"] == pytest.approx(sum(greedy) / 4, abs=1e-3)
    others = [
        Row(one.chosen.prompt, other.chosen.answer, 1, 0)
        for one, other in zip(pairs, pairs[1:] + pairs[:1], strict=True)
    ]
    unrelated = [moved(start, end, row) for row in others]
    assert body["unrelated"]["estimate"] == pytest.approx(sum(unrelated) / 4, abs=1e-3)


def moved(start, end, row):
    return float((token_logprobs(end, [row])[0] - token_logprobs(start, [row])[0]).sum())


@torch.no_grad()
def kl_by_hand(start, end, row):
    first, ids = len(row.prompt) - 1, torch.tensor([[*row.prompt, *row.answer]])
    p, q = (network(ids).logits[0, first:-1].log_softmax(-1) for network in (start, end))
    return float((p.exp() * (p - q)).sum())

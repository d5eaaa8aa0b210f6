"""Embeddings read off a network: those of each answer by itself, whatever the layout; and what the loss moves of it."""

from dataclasses import replace

import pytest
import torch
from tests.experiments.prefer.small import prefer, records, rows, write
from tests.models.tiny_networks import network, tokens

from springback.errors import RefusedError
from springback.fit.loop import Fit, fit
from springback.fit.masters import MasterAdamW
from springback.models.adapters import LoRA, attach
from springback.models.rows import Row, RowPair
from springback.report.page import write_report
from springback.stats.measured import Measured
from springback.train.pair_embeddings import pair_embeddings
from springback.train.pair_logprobs import pair_logprobs
from springback.train.preference.embeddings import States
from springback.train.preference.info_nce_embeddings import InfoNCEEmbeddings, InfoNCEEmbeddingsKL
from springback.train.preference_step import Batch, PreferenceStep
from springback.train.reference import AdapterOff, NoReference, SecondModel
from springback.train.tuning.choose import tuning

NAMES = ["llama", "gpt2", "mistral (window 6)", "bloom (no positions)"]
LENGTHS = [(5, 4, 7), (2, 1, 3), (9, 6, 2)]


def pairs(seed=0):
    made = []
    for number, (prompt, chosen, rejected) in enumerate(LENGTHS):
        asked = tokens(prompt, seed + 3 * number)
        ends = (tokens(chosen, seed + 3 * number + 1), tokens(rejected, seed + 3 * number + 2))
        made.append(RowPair(*(Row(asked, answer, 1, 0) for answer in ends)))
    return made


def alone(built, row, layer):
    """Hidden states behind a block, of one answer without any other: the obvious way."""
    with torch.no_grad():
        ids = torch.tensor([row.prompt + row.answer])
        found = built(ids, output_hidden_states=True, use_cache=False).hidden_states[layer + 1][0]
    return found[len(row.prompt) : len(row) - 1], found[len(row.prompt) - 1]


def step_of(method, reference=None):
    return PreferenceStep(method, reference or NoReference())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layer", [0, 1])
def test_they_are_the_states_at_the_answers_tokens_of_each_answer_by_itself(name, layer):
    built = network(name)
    found = {pool: pair_embeddings(built, pairs(), States(layer, pool)).embeddings for pool in ("mean", "last")}
    for place, pair in enumerate(pairs()):
        for side in ("chosen", "rejected"):
            own, prompt = alone(built, getattr(pair, side), layer)
            expected = {"mean": own.mean(dim=0), "last": own[-1]} if len(own) else {"mean": prompt, "last": prompt}
            for pool, vector in expected.items():
                torch.testing.assert_close(getattr(found[pool], side)[place].float(), vector, atol=2e-5, rtol=2e-4)
            torch.testing.assert_close(found["mean"].prompt[place].float(), prompt, atol=2e-5, rtol=2e-4)


def test_log_probabilities_beside_them_are_what_they_are_without():
    built = network("llama")
    found, plain = pair_embeddings(built, pairs(), States(-1, "mean")), pair_logprobs(built, pairs())
    assert torch.equal(found.chosen, plain.chosen)
    assert torch.equal(found.rejected, plain.rejected)


def test_a_negative_layer_counts_from_the_last_and_one_that_is_not_there_is_refused():
    built = network("llama")
    last, same = (pair_embeddings(built, pairs(), States(layer, "mean")).embeddings for layer in (-1, 2))
    assert torch.equal(last.chosen, same.chosen)
    for layer in (3, -4):
        with pytest.raises(ValueError, match="layer must be in -3 … 2"):
            pair_embeddings(built, pairs(), States(layer, "mean"))


def test_an_adapter_that_is_switched_off_for_the_divergence_leaves_the_policys_own_states():
    """Reference and policy are one network: the forward pass that counts is the one with the adapter."""
    built = network("llama")
    attach(built, LoRA(rank=2, seed=1))
    with torch.no_grad():
        for name, weight in built.named_parameters():
            if "lora_" in name:
                weight.normal_(generator=torch.Generator().manual_seed(0))
    plain = pair_embeddings(built, pairs(), States(1, "mean"))
    found = pair_embeddings(built, pairs(), States(1, "mean"), {"divergence"}, reference=built)
    assert torch.equal(found.embeddings.chosen, plain.embeddings.chosen)
    assert bool((found.divergence.chosen > 1e-3).all())


def test_the_contrast_alone_leaves_head_and_later_blocks_without_a_gradient():
    """The limit that the method states: nothing of it reaches the output head."""
    built = network("llama").requires_grad_(True)
    assert built.lm_head.weight is not built.model.embed_tokens.weight
    batch = Batch((0, 1, 2), tuple(pairs()))
    step_of(InfoNCEEmbeddings(layer=1))(built, batch).total.backward()
    moved = {name for name, weight in built.named_parameters() if weight.grad is not None and bool(weight.grad.any())}
    assert not any(name.startswith(("lm_head", "model.norm", "model.layers.2")) for name in moved)
    below = ("model.embed_tokens.weight", *(f"model.layers.{layer}.mlp.up_proj.weight" for layer in (0, 1)))
    assert moved >= set(below)
    built.zero_grad(set_to_none=True)
    step_of(InfoNCEEmbeddings(layer=1, nll=1.0))(built, batch).total.backward()
    assert bool(built.lm_head.weight.grad.any())


def test_training_brings_the_chosen_answers_together_and_the_rejected_ones_off():
    built = network("llama").requires_grad_(True)
    items, step = tuple(pairs()), step_of(InfoNCEEmbeddings())
    before = InfoNCEEmbeddings().contrast(pair_embeddings(built, items, States(-1, "mean")).embeddings)
    parts = [Batch((0, 1, 2), items)] * 8
    list(fit(lambda batch: step(built, batch), parts, MasterAdamW(built, None), Fit(lr=1e-3, accumulate=1)))
    after = InfoNCEEmbeddings().contrast(pair_embeddings(built, items, States(-1, "mean")).embeddings)
    assert bool((after < before - 0.1).all()), (before, after)


def test_the_divergence_is_that_of_the_reference_and_holds_the_policy():
    built = network("llama")
    batch = Batch((0, 1, 2), tuple(pairs()))
    still, held = InfoNCEEmbeddings(), InfoNCEEmbeddingsKL(kl=1.0)
    apart = network("gpt2")  # same vocabulary, other distributions
    at_home = step_of(held, SecondModel(network("llama")))(built, batch).total - step_of(still)(built, batch).total
    away = step_of(held, SecondModel(apart))(built, batch).total - step_of(still)(built, batch).total
    assert abs(float(at_home.detach())) < 1e-5
    assert float(away.detach()) > 0.5
    attach(built, LoRA(rank=2))
    again = step_of(held, AdapterOff(built))(built, batch).total - step_of(still)(built, batch).total
    assert abs(float(again.detach())) < 1e-5


def test_a_run_reads_the_embeddings_all_along_and_a_killed_one_ends_the_same(tmp_path, monkeypatch):
    from springback.experiments.prefer.laboratory import ModelLaboratory

    data = write(tmp_path / "pairs.jsonl", rows())
    loss = {"loss": "info_nce_embeddings:temperature=0.5", "probes": 0}
    done = prefer(data, tmp_path / "whole", **loss).run
    assert "Chosen answer nearer the anchor" in write_report(tmp_path / "whole")[0].read_text("utf-8")
    bodies = done.read("embedding")
    assert set(bodies) == {f"{name}/{step}" for name in ("held_out", "train") for step in (0, 2, 3)}
    first, last = bodies["train/0"], bodies["train/3"]
    assert Measured.of(last["rejected"]).high < Measured.of(first["rejected"]).low
    assert (last["pairs"], last["anchor"], last["pool"], last["layer"]) == (12, "chosen", "mean", -1)
    train = ModelLaboratory.train

    def dying(self, step):
        if step == 2:
            raise KeyboardInterrupt
        return train(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(ModelLaboratory, "train", dying)
        with pytest.raises(KeyboardInterrupt):
            prefer(data, tmp_path / "cut", **loss)
    assert records(prefer(data, tmp_path / "cut", **loss).run) == records(done)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "info_nce_embeddings:layer=9"}, "layer must be in -4 … 3, got 9"),
        ({"loss": "info_nce_embeddings", "batch": 1}, "at least 2"),
        ({"loss": "info_nce_embeddings", "accumulate": 2}, "whole batch"),
        ({"loss": "info_nce_embeddings", "cure": "anchor"}, "hidden states"),
        ({"loss": "info_nce_embeddings", "reference_way": "precomputed"}, "no reference"),
        ({"loss": "info_nce_embeddings_kl", "reference_way": "precomputed"}, "divergence"),
    ],
)
def test_what_cannot_work_is_refused_before_a_step(tmp_path, options, words):
    data = write(tmp_path / "pairs.jsonl", rows())
    with pytest.raises(RefusedError, match=words):
        prefer(data, tmp_path / "run", **options)


def test_it_is_a_way_of_tuning_too():
    built = network("llama").requires_grad_(True)
    made = [replace(pair.chosen, other=pair.rejected) for pair in pairs()]
    loss = tuning("info_nce_embeddings_kl:anchor=prompt,kl=0.5")(built, made, ())
    found = loss(built, made)
    contrast = InfoNCEEmbeddings(anchor="prompt").contrast(
        pair_embeddings(built, pairs(), States(-1, "mean")).embeddings
    )
    assert float(found.total) == pytest.approx(float(contrast.sum()), rel=1e-5)

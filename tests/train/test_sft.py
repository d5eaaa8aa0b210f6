import math

import pytest
import torch
from torch.testing import assert_close

from springback.fit import checkpoint
from springback.fit.checkpoint import Checkpoint
from springback.fit.checks import FirstSteps
from springback.fit.loop import NonFiniteError
from springback.models import packing
from springback.models.load import load
from springback.models.rows import Row
from springback.store.fetch import cache_dir
from springback.train import sft
from springback.train.sft import SFT, optimizer, summed, tune

EMBEDDED = "smollm2-135m-instruct"
FAST = SFT(lr=1e-3, batch=8)


def obvious_nll(network, row: Row) -> torch.Tensor:
    """The reference: one row alone, the whole forward, a loop over the answer."""
    logits = network(torch.tensor([row.prompt + row.answer])).logits[0].double()
    first = len(row.prompt)
    return -sum(logits[first + t - 1].log_softmax(-1)[token] for t, token in enumerate(row.answer))


def gradients(network, total: torch.Tensor) -> dict[str, torch.Tensor]:
    network.zero_grad()
    total.backward()
    return {name: parameter.grad for name, parameter in network.named_parameters()}


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Largest relative difference over the tensors, in the Euclidean norm."""
    return max(
        ((one[name].double() - other[name].double()).norm() / other[name].double().norm()).item() for name in one
    )


@pytest.mark.parametrize("way", [packing.packed, packing.padded, packing.cheapest])
def test_loss_and_gradient_are_those_of_each_row_alone(llama, rows, way):
    network = llama(torch.float64)
    total = summed(network, rows, way(network, rows)).total
    expected = torch.stack([obvious_nll(network, row) for row in rows]).sum()
    assert_close(total, expected, rtol=1e-6, atol=0)  # log-softmax is in fp32
    assert distance(gradients(network, total), gradients(network, expected)) < 1e-6


def test_prompt_tokens_are_under_no_loss_and_the_stop_token_is(llama):
    network = llama(torch.float64)
    row = Row((1, 5, 9), (7, 2), 1, 1)
    with torch.no_grad():
        both = summed(network, [row])
        first = summed(network, [Row((1, 5, 9), (7,), 1, 1)])
    assert (both.tokens, both.weight) == (2, 2)
    assert_close(
        (both.total - first.total).item(), obvious_nll(network, Row((1, 5, 9, 7), (2,), 1, 0)).item(), rtol=1e-5, atol=0
    )


def test_the_loss_is_a_mean_over_tokens_and_not_over_rows(llama):
    network = llama()
    short, long = Row((1, 5), (7, 2), 1, 1), Row((1, 6), (8, 9, 10, 11, 12, 2), 1, 1)
    with torch.no_grad():
        expected = (obvious_nll(network, short) + obvious_nll(network, long)) / 8
        assert_close(sft.loss(network, [short, long]), expected, rtol=1e-5, atol=0)


def test_more_answer_tokens_than_the_head_takes_at_once_change_nothing(llama, rows, monkeypatch):
    network = llama()
    whole = gradients(network, summed(network, rows).total)
    monkeypatch.setattr(sft, "LOSS_ROWS", 7)
    assert distance(gradients(network, summed(network, rows).total), whole) < 1e-6


def weights(network) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def equal(one, other) -> bool:
    return all(map(torch.equal, one.values(), other.values()))


def tuned(network, rows, options=FAST, **kwargs):
    update = optimizer(network, options)
    steps = list(tune(network, update, rows, options, **kwargs))
    return update, steps


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("warmup_steps", [0, 2])
def test_nested_sizes_are_separate_runs_to_the_bit(llama, rows, dtype, warmup_steps):
    options = SFT(lr=1e-3, batch=8, warmup_steps=warmup_steps)
    chain = llama(dtype)
    update = optimizer(chain, options)
    list(tune(chain, update, rows[:8], options))
    at_eight = weights(chain)
    list(tune(chain, update, rows[8:], options, first_step=1))
    for count, nested in ((8, at_eight), (24, weights(chain))):
        separate = llama(dtype)
        tuned(separate, rows[:count], options)
        assert equal(nested, weights(separate))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_resumed_from_a_checkpoint_is_uninterrupted_to_the_bit(llama, rows, dtype, tmp_path):
    through = llama(dtype)
    expected, steps = tuned(through, rows)

    before, _ = tuned(llama(dtype), rows[:8])
    checkpoint.save(tmp_path / "cell", before.state(), {"step": 1})
    kept = checkpoint.load(tmp_path / "cell")
    assert isinstance(kept, Checkpoint)
    after = llama(dtype, seed=7)  # other weights: everything must come from the checkpoint
    update = optimizer(after, FAST)
    update.load(kept.tensors)
    rest = list(tune(after, update, rows[8:], FAST, first_step=kept.facts["step"]))

    assert rest == steps[1:]
    assert equal(weights(after), weights(through))
    assert equal(update.state(), expected.state())


def test_a_reversal_begins_with_fresh_moments(llama, rows):
    network = llama()
    update, _ = tuned(network, rows[:16])
    kept = {name: tensor.clone() for name, tensor in update.state(moments=False).items()}
    update.free_moments()
    list(tune(network, update, rows[16:], FAST))
    again = llama(seed=3)
    fresh = optimizer(again, FAST)
    fresh.load(kept)
    list(tune(again, fresh, rows[16:], FAST))
    assert equal(weights(network), weights(again))


@pytest.mark.parametrize("accumulate", [2, 4, 8])
def test_micro_batches_of_unequal_token_counts_are_one_batch(llama, rows, accumulate):
    whole, cut = llama(torch.float64), llama(torch.float64)
    options = SFT(lr=1e-3, batch=8, eps=1e-4, accumulate=accumulate)  # ε above the rounding of vanishing gradients
    _, expected = tuned(whole, rows, SFT(lr=1e-3, batch=8, eps=1e-4))
    _, steps = tuned(cut, rows, options)
    moved = {name: tensor - weights(llama(torch.float64))[name] for name, tensor in weights(whole).items()}
    moved_cut = {name: tensor - weights(llama(torch.float64))[name] for name, tensor in weights(cut).items()}
    assert distance(moved_cut, moved) < 1e-6
    assert [step.loss for step in steps] == pytest.approx([step.loss for step in expected], rel=1e-6)
    assert [step.tokens for step in steps] == [step.tokens for step in expected]


def test_micro_batches_in_bf16_are_summed_more_finely_than_bf16(llama, rows):
    """Distance to the fp64 gradient of the batch: no worse cut into eight than whole."""
    exact_network, network = llama(torch.bfloat16).double(), llama(torch.bfloat16)
    exact = gradients(exact_network, summed(exact_network, rows[:8]).total)
    whole = distance(gradients(network, summed(network, rows[:8]).total), exact)
    update = optimizer(network, FAST)
    update.discard()
    for row in rows[:8]:
        summed(network, [row]).total.backward()
        update.fold()
    assert distance({slot.name: slot.gradient for slot in update.slots}, exact) < max(whole, 0.02)


def test_bf16_stays_close_to_fp32(llama, rows):
    """Three steps: losses within 0.2 %, and the update within 8 % of its own size, both from the same rounded start."""
    start = llama(torch.bfloat16).float()
    fine, coarse = llama(torch.bfloat16).float(), llama(torch.bfloat16)
    options = SFT(lr=1e-3, batch=8, eps=1e-4)
    _, expected = tuned(fine, rows, options)
    update, steps = tuned(coarse, rows, options)
    assert [step.loss for step in steps] == pytest.approx([step.loss for step in expected], rel=2e-3)
    moved = torch.cat([(tensor - weights(start)[name]).flatten() for name, tensor in weights(fine).items()])
    masters = torch.cat([(slot.master - weights(start)[slot.name]).flatten() for slot in update.slots])
    assert (masters - moved).norm() < 0.08 * moved.norm()


def test_every_tensor_of_a_full_tuning_moves_in_the_first_step(llama, rows):
    network = llama(torch.bfloat16)
    first = FirstSteps(optimizer(network, FAST), needed=1)
    list(first.watch(tune(network, first.optimizer, rows, FAST)))
    assert first.report.ok
    assert first.report.moved == first.report.tensors_total == len(list(network.parameters()))


def test_a_bad_weight_stops_the_run_and_names_the_examples(llama, rows):
    network = llama()
    update = optimizer(network, FAST)
    steps = tune(network, update, rows, FAST)
    next(steps)
    network.model.norm.weight.data[3] = math.nan
    with pytest.raises(NonFiniteError, match="Step 1, examples 8 to 15"):
        next(steps)


def test_an_incomplete_batch_is_refused_before_the_first_step(llama, rows):
    network = llama()
    before = weights(network)
    with pytest.raises(ValueError, match="no multiple of the batch of 8"):
        tuned(network, rows[:20])
    assert equal(weights(network), before)


def test_dropout_is_off_while_tuning(llama, rows):
    network = llama()
    network.config.attention_dropout = 0.9
    for layer in network.model.layers:
        layer.self_attn.attention_dropout = 0.9
    network.train()
    tuned(network, rows)
    plain = llama()
    tuned(plain, rows)
    assert equal(weights(network), weights(plain))


@pytest.mark.parametrize("wrong", [{"batch": 8, "accumulate": 3}, {"betas": (0.9, 1.0)}, {"eps": 0.0}, {"batch": 0}])
def test_options_that_cannot_hold_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        SFT(**wrong)


@pytest.mark.weights
def test_the_embedded_model_is_packed_within_bf16_of_padding_and_moves_whole():
    if not (cache_dir() / "models" / EMBEDDED / "model.safetensors").is_file():
        pytest.skip(f"{EMBEDDED} is not in the cache: springback models pull {EMBEDDED}")
    network = load(EMBEDDED, dtype=torch.bfloat16).network.requires_grad_(True)
    real = [Row((1, 9690, 198, 2, 198, 1, 4093, 198, 504 + i), (504, 9, 5, 2)[i % 2 :], 1, 0) for i in range(8)]
    assert packing.why_not(network) is None
    assert packing.cheapest(network, real).arguments["attention_mask"].ndim == 4
    with torch.no_grad():
        totals = [summed(network, real, way(network, real)).total.item() for way in (packing.packed, packing.padded)]
    assert totals[0] == pytest.approx(totals[1], rel=0.01)
    first = FirstSteps(optimizer(network, FAST), needed=1)
    list(first.watch(tune(network, first.optimizer, real, SFT())))
    assert first.report.ok
    assert first.report.tensors_total == 272

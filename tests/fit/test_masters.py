import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from springback.fit.masters import PIECE, MasterAdamW


def network(*values: torch.Tensor, dtype: torch.dtype = torch.float32) -> nn.Module:
    holder = nn.Module()
    for index, value in enumerate(values):
        holder.register_parameter(f"w{index}", nn.Parameter(value.to(dtype).clone()))
    return holder


def give(holder: nn.Module, gradients) -> None:
    for parameter, gradient in zip(holder.parameters(), gradients, strict=True):
        parameter.grad = gradient.to(parameter.dtype)


def draws(seed: int, *shapes):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in shapes]


SHAPES = ((5, 3), (7,), (PIECE + 3,))


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_in_fp32_it_is_torch_s_own_adamw_to_the_bit(weight_decay):
    start = draws(0, *SHAPES)
    ours, theirs = network(*start), network(*start)
    update = MasterAdamW(ours, betas=(0.9, 0.95), weight_decay=weight_decay)
    reference = torch.optim.AdamW(
        theirs.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=weight_decay, fused=True
    )
    for seed in range(1, 6):
        for holder in (ours, theirs):
            give(holder, draws(seed, *SHAPES))
        update.step(lr=1e-3)
        reference.step()
        update.discard()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


def test_it_is_adamw_written_out():
    w, m, v = torch.tensor([0.5, -2.0], dtype=torch.float64), 0.0, 0.0
    holder = network(w, dtype=torch.float64)
    update = MasterAdamW(holder, betas=(0.9, 0.95), eps=1e-6, weight_decay=0.1)
    for t in range(1, 4):
        g = torch.tensor([0.1 * t, -1.0], dtype=torch.float64)
        m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g**2
        w = w * (1 - 0.01 * 0.1) - 0.01 * (m / (1 - 0.9**t)) / ((v / (1 - 0.95**t)).sqrt() + 1e-6)
        give(holder, [4 * g])
        update.step(lr=0.01, scale=0.25)
        update.discard()
    assert_close(holder.w0.detach(), w, rtol=1e-12, atol=0)


def test_a_hundred_updates_that_bf16_would_lose_move_the_masters():
    ones = torch.ones(4)
    holder, alone = network(ones, dtype=torch.bfloat16), network(ones, dtype=torch.bfloat16)
    update, pure = MasterAdamW(holder), torch.optim.AdamW(alone.parameters(), lr=1e-5, weight_decay=0)
    for _ in range(100):
        give(holder, [ones])
        give(alone, [ones])
        update.step(lr=1e-5)
        pure.step()
    assert torch.equal(alone.w0, torch.ones(4, dtype=torch.bfloat16))
    assert_close(update.state()["master/w0"], torch.full((4,), 1 - 100e-5), rtol=2e-6, atol=0)
    for _ in range(300):  # and once they add up, the network sees them
        give(holder, [ones])
        update.step(lr=1e-5)
    assert torch.equal(holder.w0, torch.full((4,), 0.99609375, dtype=torch.bfloat16))


def test_the_network_computes_with_the_masters_rounded():
    holder = network(*draws(0, *SHAPES), dtype=torch.bfloat16)
    update = MasterAdamW(holder)
    give(holder, draws(1, *SHAPES))
    update.step(lr=1e-2)
    for name, weight in holder.named_parameters():
        assert torch.equal(weight, update.state()[f"master/{name}"].bfloat16())


def test_masters_begin_at_full_precision_when_they_are_given():
    exact = torch.tensor([1.0001, 0.3])
    holder = network(exact, dtype=torch.bfloat16)
    assert torch.equal(MasterAdamW(holder, {"w0": exact}).state()["master/w0"], exact)
    assert torch.equal(MasterAdamW(holder).state()["master/w0"], exact.bfloat16().float())


@pytest.mark.parametrize("given", [{"w0": torch.tensor([1.1, 0.3])}, {"w0": torch.ones(3)}, {}])
def test_masters_of_another_model_are_refused(given):
    with pytest.raises(ValueError, match="w0"):
        MasterAdamW(network(torch.tensor([1.0, 0.3]), dtype=torch.bfloat16), given)


def test_tied_weights_have_one_master_under_either_name(llama):
    tied = llama(torch.bfloat16)
    update = MasterAdamW(
        tied, {name: weight.float() for name, weight in tied.state_dict().items() if "embed" not in name}
    )
    assert sum(slot.weight is tied.lm_head.weight for slot in update.slots) == 1
    assert len(update.slots) == len(list(tied.parameters()))


def test_the_gradient_norm_is_that_of_all_tensors_together():
    holder = network(*draws(0, *SHAPES), dtype=torch.bfloat16)
    give(holder, gradients := draws(1, *SHAPES))
    expected = torch.cat([gradient.bfloat16().double().flatten() for gradient in gradients]).norm().item()
    assert MasterAdamW(holder).norm() == pytest.approx(expected, rel=1e-6)


def test_a_gradient_that_is_not_finite_is_named():
    holder = network(torch.ones(3), torch.ones(2))
    give(holder, [torch.ones(3), torch.tensor([1.0, math.inf])])
    update = MasterAdamW(holder)
    assert not math.isfinite(update.norm())
    assert update.faulty() == ["w1"]


def test_micro_batch_gradients_of_bf16_weights_are_summed_in_fp32():
    holder = network(torch.ones(1), dtype=torch.bfloat16)
    update = MasterAdamW(holder)
    for part in (256.0, 1.0, 1.0, 1.0):  # in bf16, 256 + 1 is 256
        give(holder, [torch.tensor([part])])
        update.fold()
    assert update.norm() == 259
    update.discard()
    assert update.norm() == 0


def test_a_tensor_without_a_gradient_is_left_alone():
    holder = network(torch.ones(2), torch.ones(2))
    update = MasterAdamW(holder, weight_decay=0.5)
    holder.w0.grad = torch.ones(2)
    update.step(lr=0.1)
    assert torch.equal(holder.w1, torch.ones(2))
    assert not torch.equal(holder.w0, torch.ones(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_state_taken_back_goes_on_as_if_nothing_had_happened(dtype):
    holder, other = network(*draws(0, *SHAPES), dtype=dtype), network(*draws(9, *SHAPES), dtype=dtype)
    update, resumed = MasterAdamW(holder), MasterAdamW(other)
    give(holder, draws(1, *SHAPES))
    update.step(lr=1e-3)
    resumed.load({name: tensor.clone() for name, tensor in update.state().items()})
    for one, optimizer in ((holder, update), (other, resumed)):
        give(one, draws(2, *SHAPES))
        optimizer.step(lr=1e-3)
    for one, two in zip(holder.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
    assert all(torch.equal(tensor, resumed.state()[name]) for name, tensor in update.state().items())


def test_forgetting_the_moments_gives_the_step_of_a_fresh_optimiser():
    holder = network(*draws(0, (6,)))
    update = MasterAdamW(holder)
    give(holder, draws(1, (6,)))
    update.step(lr=1e-3)
    update.free_moments()
    assert set(update.state()) == {"master/w0"}
    fresh = network(holder.w0.detach())
    for one, optimizer in ((holder, update), (fresh, MasterAdamW(fresh))):
        give(one, draws(2, (6,)))
        optimizer.step(lr=1e-3)
    assert torch.equal(holder.w0, fresh.w0)


def test_a_state_without_moments_starts_fresh_from_its_masters():
    holder = network(*draws(0, (6,)))
    update = MasterAdamW(holder)
    give(holder, draws(1, (6,)))
    update.step(lr=1e-3)
    update.load(update.state(moments=False))
    assert set(update.state()) == {"master/w0"}


@pytest.mark.parametrize("wrong", ["missing", "other", "half", "shape"])
def test_a_state_of_another_network_is_refused_and_changes_nothing(wrong):
    holder = network(torch.ones(2), torch.ones(3))
    update = MasterAdamW(holder)
    give(holder, [torch.ones(2), torch.ones(3)])
    update.step(lr=0.1)
    state = {name: tensor.clone().zero_() for name, tensor in update.state().items()}
    if wrong == "missing":
        del state["master/w1"]
    elif wrong == "other":
        state["surprise"] = torch.ones(1)
    elif wrong == "half":
        del state["second/w0"]
    else:
        state["master/w1"] = torch.zeros(4)
    before = [weight.detach().clone() for weight in holder.parameters()]
    with pytest.raises(ValueError, match="state"):
        update.load(state)
    assert all(map(torch.equal, holder.parameters(), before))


def test_fp16_weights_are_refused():
    with pytest.raises(ValueError, match="float16"):
        MasterAdamW(network(torch.ones(2), dtype=torch.float16))


def test_a_frozen_network_is_refused():
    with pytest.raises(ValueError, match="no trainable"):
        MasterAdamW(network(torch.ones(2)).requires_grad_(False))

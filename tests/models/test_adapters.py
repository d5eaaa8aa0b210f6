import sys

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from springback.errors import RefusedError
from springback.fit import checkpoint
from springback.fit.checks import STEPS, FirstSteps
from springback.models.adapters import LoRA, adapted, attach, start_view, trainable
from springback.models.rows import Row
from springback.tensors.seed import seeded
from springback.train.sft import SFT, optimizer, tune

ROWS = [Row((1, 5, 9 + index), (7 + index, 8, 3, 2), 1, 0) for index in range(12)]
OPTIONS = SFT(lr=1e-2, batch=4)
IDS = torch.tensor([[1, 5, 9, 7, 8, 3]])


def llama(dtype: torch.dtype = torch.bfloat16):
    config = LlamaConfig(
        vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    with seeded(0):
        return LlamaForCausalLM(config).to(dtype).eval()


def logits(network) -> torch.Tensor:
    with torch.no_grad():
        return network(IDS).logits


@pytest.fixture
def tuned():
    network = llama()
    attach(network, LoRA(rank=4))
    update = optimizer(network, OPTIONS)
    return network, update, list(tune(network, update, ROWS, OPTIONS))


def test_a_fresh_adapter_leaves_the_network_bit_equal():
    network = llama()
    before = logits(network)
    attach(network, LoRA())
    assert torch.equal(logits(network), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_linear_layer_but_the_head_gets_two_fp32_factors(dtype):
    network = llama(dtype)
    names = attach(network, LoRA(rank=4))
    assert len(names) == 2 * 2 * 7
    assert not any("lm_head" in name or "embed" in name for name in names)
    assert all(network.get_parameter(name).dtype == torch.float32 for name in names)
    assert names == trainable(network)


def test_switched_off_the_tuned_network_is_the_start_bit_for_bit(tuned):
    network, _, _ = tuned
    after = logits(network)
    with start_view(network) as start:
        assert torch.equal(logits(start), logits(llama()))
    assert torch.equal(logits(network), after)
    assert not torch.equal(after, logits(llama()))


def test_an_exception_inside_the_start_view_switches_the_adapter_on_again(tuned):
    network, _, _ = tuned
    after, names = logits(network), trainable(network)
    with pytest.raises(KeyError), start_view(network):
        raise KeyError
    assert torch.equal(logits(network), after)
    assert trainable(network) == names


def test_a_frozen_adapter_is_still_frozen_after_the_start_view(tuned):
    network, _, _ = tuned
    network.requires_grad_(False)
    with start_view(network):
        pass
    assert trainable(network) == []


def test_without_an_adapter_the_start_view_changes_nothing():
    network = llama().requires_grad_(False)
    with start_view(network) as start:
        assert start is network
    assert trainable(network) == []


def test_all_factors_move_within_two_steps_and_not_within_one():
    for needed, ok in ((1, False), (STEPS["lora"], True)):
        network = llama()
        attach(network, LoRA(rank=4))
        first = FirstSteps(optimizer(network, OPTIONS), needed=needed)
        list(first.watch(tune(network, first.optimizer, ROWS, OPTIONS)))
        assert first.report.ok is ok
        assert ok or all("lora_A" in stuck.name for stuck in first.report.stuck)


def test_the_base_does_not_move(tuned):
    network, _, _ = tuned
    start = dict(llama().named_parameters())
    for name, parameter in network.named_parameters():
        if "lora_" not in name:
            assert torch.equal(parameter, start[name.replace("base_layer.", "")])


def test_the_same_seed_gives_the_same_adapter_and_leaves_the_global_one_alone():
    def values(seed):
        network = llama()
        return [network.get_parameter(name).clone() for name in attach(network, LoRA(seed=seed))]

    before = torch.random.get_rng_state()
    one, same, other = values(1), values(1), values(2)
    assert all(map(torch.equal, one, same))
    assert not all(map(torch.equal, one, other))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_checkpoint_holds_the_adapter_alone_and_resumes_to_the_bit(tuned, tmp_path):
    through, _, steps = tuned
    network = llama()
    names = attach(network, LoRA(rank=4))
    update = optimizer(network, OPTIONS)
    list(tune(network, update, ROWS[:4], OPTIONS))
    checkpoint.save(tmp_path / "cell", update.state(), {"step": 1})

    other = llama()
    attach(other, LoRA(rank=4, seed=5))
    kept = checkpoint.load(tmp_path / "cell")
    resumed = optimizer(other, OPTIONS)
    resumed.load(kept.tensors)
    assert {name for name in kept.tensors if name.startswith("master/")} == {f"master/{name}" for name in names}
    assert list(tune(other, resumed, ROWS[4:], OPTIONS, first_step=1)) == steps[1:]
    assert torch.equal(logits(other), logits(through))


def test_a_second_adapter_is_refused(tuned):
    network, _, _ = tuned
    assert adapted(network)
    with pytest.raises(RefusedError, match="adapter already"):
        attach(network, LoRA())


def test_without_peft_the_refusal_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    network = llama()
    with pytest.raises(RefusedError, match="not installed") as caught:
        attach(network, LoRA())
    assert "springback[peft]" in caught.value.next
    assert len(trainable(network)) == len(list(network.parameters()))


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"alpha": 0.0}])
def test_options_that_cannot_hold_are_refused(wrong):
    with pytest.raises(ValueError, match="must hold"):
        LoRA(**wrong)

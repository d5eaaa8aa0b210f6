"""How the residual stream is found and what is refused, on planted structures."""

from typing import Any, cast

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel, T5Config, T5ForConditionalGeneration
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from springback.errors import RefusedError
from springback.models.hooks import capture, restart
from springback.models.layout import Layout, chosen

CONFIG = LlamaConfig(
    vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True, initializer_range=0.15,
)  # fmt: skip
IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])


class Renamed(LlamaForCausalLM):
    """A class that no list of architectures holds."""


class ToyBlock(nn.Module):
    """A block of our own. `fault` plants what must be seen through or refused."""

    def __init__(self, fault: str, shared: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.mix, self.mlp, self.fault, self.shared = nn.Linear(16, 16), nn.Linear(16, 16), fault, shared

    def forward(self, hidden: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, None]:
        weights = torch.ones(hidden.shape[1], hidden.shape[1])
        weights = weights if self.fault == "sees later tokens" else weights.tril()
        mixed = self.mix(weights / weights.sum(-1, keepdim=True) @ hidden)
        wide = self.mlp(hidden)
        if self.fault == "in-place add":
            wide += mixed
            return (hidden + wide, None)
        if self.fault == "side channel":
            wide = wide + self.shared.get("memory", 0)
            self.shared["memory"] = mixed
            return hidden + mixed + wide
        if self.fault == "norm on the stream":
            return torch.tanh(hidden + mixed + wide)
        return hidden + mixed + wide


class ToyModel(nn.Module):
    def __init__(self, fault: str = "none") -> None:
        super().__init__()
        self.embed, self.head, self.fault = nn.Embedding(40, 16), nn.Linear(16, 40), fault
        self.shared: dict[str, torch.Tensor] = {}
        self.stack = nn.ModuleList(ToyBlock(fault, self.shared) for _ in range(3))
        self.norm = nn.LayerNorm(16)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0, 0.3, generator=generator)

    def forward(self, input_ids: torch.Tensor, *, use_cache: bool) -> CausalLMOutputWithPast:
        self.shared.clear()
        hidden = self.embed(input_ids)
        for index, block in enumerate(self.stack):
            gave = block(hidden)
            hidden = gave[0] if isinstance(gave, tuple) else gave
            if self.fault == "changed between blocks" and index == 0:
                hidden = hidden * 1.5
            if self.fault == "called twice" and index == 1:
                hidden = block(hidden)
        return CausalLMOutputWithPast(logits=cast(Any, self.head(self.norm(hidden))))


def llama(kind: type[LlamaForCausalLM] = LlamaForCausalLM) -> LlamaForCausalLM:
    return kind(CONFIG).eval()


def test_a_renamed_class_with_tied_embeddings_has_the_layout_of_its_parent() -> None:
    layout = Layout.of(llama(Renamed))
    assert layout.blocks == ("model.layers.0", "model.layers.1", "model.layers.2")
    assert (layout.embedding, layout.norm, layout.head) == ("model.embed_tokens", "model.norm", "lm_head")
    assert (layout.width, layout.arity, layout.cached, layout.proof) == (32, (0, 0, 0), True, "branches")
    assert layout.restarts == (0, 1, 2)


def test_a_model_with_an_unmerged_adapter_is_found_under_its_wrapping() -> None:
    from peft import LoraConfig, get_peft_model

    network = get_peft_model(llama(), LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False))
    layout = Layout.of(network)
    assert layout.branches == (("self_attn", "mlp"),) * 3
    with torch.no_grad(), capture(network, layout, [1]) as captured:
        whole = network(input_ids=IDS).logits
    with torch.no_grad(), restart(network, layout, 1, captured[1]):
        assert torch.equal(network(input_ids=IDS).logits, whole)


def test_an_in_place_add_into_another_branch_does_not_hide_the_branch() -> None:
    """By reference, the MLP would seem to explain the whole residual alone."""
    layout = Layout.of(ToyModel("in-place add"))
    assert layout.branches == (("mix", "mlp"),) * 3
    assert layout.arity == (2, 2, 2)
    assert not layout.cached


def test_a_norm_on_the_stream_is_proven_by_the_chain_with_every_restart() -> None:
    layout = Layout.of(ToyModel("norm on the stream"))
    assert (layout.proof, layout.branches, layout.restarts) == ("chain", (), (0, 1, 2))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("sees later tokens", "stack.0: it lets a position see later tokens"),
        ("side channel", "cannot run without those before it|something other than the residual stream"),
        ("changed between blocks", "stack.1 is not given what the block before it gave"),
        ("called twice", "stack.1 was called 2 times"),
    ],
)
def test_what_cannot_be_proven_is_refused_naming_the_module(fault: str, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason) as refused:
        Layout.of(ToyModel(fault))
    assert refused.value.kind == "model"


def test_an_encoder_with_a_decoder_and_a_network_without_logits_are_refused() -> None:
    both = T5ForConditionalGeneration(T5Config(vocab_size=61, d_model=32, d_ff=48, num_layers=2, num_heads=4, d_kv=8))
    with pytest.raises(RefusedError, match="encoder with a decoder"):
        Layout.of(both)
    with pytest.raises(RefusedError, match="logits"):
        Layout.of(LlamaModel(CONFIG))


def test_a_branch_that_is_not_a_module_leaves_the_chain_as_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum must not be called proven when a part of it is invisible."""
    forward = LlamaDecoderLayer.forward

    def more(self: LlamaDecoderLayer, *args: Any, **kwargs: Any) -> torch.Tensor:
        return forward(self, *args, **kwargs) + 0.01 * args[0].roll(1, dims=-1)

    monkeypatch.setattr(LlamaDecoderLayer, "forward", more)
    assert Layout.of(llama()).proof == "chain"


def test_a_block_that_adds_nothing_is_a_block() -> None:
    network = llama()
    with torch.no_grad():
        for name, parameter in network.model.layers[1].named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
    layout = Layout.of(network)
    assert layout.branches[1] in ((), ("self_attn", "mlp"))
    assert layout.branches[0] == ("self_attn", "mlp")


def test_finding_the_layout_leaves_modes_and_logits_as_they_were() -> None:
    network = llama()
    network.model.layers[1].train()
    with torch.no_grad():
        before = network(input_ids=IDS).logits
        Layout.of(network)
        assert torch.equal(network(input_ids=IDS).logits, before)
    assert [layer.training for layer in network.model.layers] == [False, True, False]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_chosen_layers_are_evenly_spread_with_both_ends() -> None:
    assert chosen(5, None) == chosen(5, 9) == (0, 1, 2, 3, 4)
    assert chosen(30, 4) == (0, 10, 19, 29)
    assert chosen(7, 2) == (0, 6)
    with pytest.raises(ValueError, match="first and its last"):
        chosen(5, 1)

"""Laws of the structural core over tiny, randomly initialised networks of many architectures."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from springback.models.hooks import capture, edit, restart
from springback.models.layout import Layout

IDS = {"vocab_size": 61, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
COMMON = {
    **IDS, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
GPT = {**IDS, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
HEADS = {"head_dim": 8}
WINDOWS = {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"], "sliding_window": 5}
LATENT = {
    "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 8,
    "num_key_value_heads": 4, "first_k_dense_replace": 1, "n_routed_experts": 4, "n_group": 2, "topk_group": 1,
    "num_experts_per_tok": 2, "n_shared_experts": 1, "moe_intermediate_size": 24,
}  # fmt: skip
NEO = {
    **IDS, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]],
    "window_size": 5, "max_position_embeddings": 64,
}  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """What `COMMON` needs beside it (`extra`) or instead of it (`own`), and which branches must be found."""

    name: str
    extra: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] | None = None
    branches: tuple[str, ...] = ("self_attn", "mlp")
    scale: float = 1.0
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.name}{'-' * bool(self.kind)}{self.kind}"


POST = ("post_attention_layernorm", "post_feedforward_layernorm")
FALCON = ("self_attention", "mlp")
PLAIN = [
    Architecture(name, extra)
    for name, extra in {
        "llama": {}, "mistral": {"sliding_window": 5}, "qwen2": {}, "qwen3": HEADS, "gemma": HEADS, "phi": {},
        "qwen2_moe": {**EXPERTS, "shared_expert_intermediate_size": 24}, "qwen3_moe": {**EXPERTS, **HEADS},
        "mixtral": EXPERTS, "olmoe": EXPERTS, "phimoe": EXPERTS, "gpt_oss": {**EXPERTS, **HEADS, **WINDOWS},
        "deepseek_v3": LATENT, "cohere": {}, "cohere2": {**HEADS, **WINDOWS}, "olmo": {}, "stablelm": {},
        "glm": HEADS, "starcoder2": {}, "smollm3": {}, "persimmon": {}, "nemotron": {}, "helium": HEADS,
        "ernie4_5": HEADS, "seed_oss": HEADS, "apertus": {}, "nanochat": {}, "vaultgemma": {**HEADS, **WINDOWS},
        "bitnet": {}, "arcee": {}, "phi3": {},
    }.items()
]  # fmt: skip
OTHERS = [
    Architecture("gemma2", {**HEADS, "sliding_window": 5}, branches=POST),
    Architecture("gemma3_text", {**HEADS, "sliding_window": 5}, branches=POST),
    Architecture("olmo2", branches=POST),
    Architecture("olmo3", WINDOWS, branches=POST),
    Architecture("exaone4", WINDOWS, branches=POST),
    Architecture("glm4", HEADS, branches=("post_self_attn_layernorm", "post_mlp_layernorm")),
    Architecture("granite", {"residual_multiplier": 0.22, "logits_scaling": 3.0}, scale=0.22),
    Architecture("stablelm", {"use_parallel_residual": True}, kind="parallel"),
    Architecture("gpt_neox", branches=("attention", "mlp")),
    Architecture("falcon", {"parallel_attn": True, "multi_query": True}, branches=FALCON, kind="parallel"),
    Architecture("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}, branches=FALCON, kind="new"),
    Architecture("falcon", {"parallel_attn": False, "alibi": True}, branches=FALCON, kind="sequential-alibi"),
    Architecture("gpt2", own=GPT, branches=("attn", "mlp")),
    Architecture("gptj", own={**GPT, "rotary_dim": 4}, branches=("attn", "mlp")),
    Architecture("codegen", own={**GPT, "rotary_dim": 4}, branches=("attn", "mlp")),
    Architecture("gpt_bigcode", own=GPT, branches=("attn", "mlp")),
    Architecture("gpt_neo", own=NEO, branches=("attn", "mlp")),
    Architecture("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}, branches=("self_attn", "fc2")),
    Architecture(
        "bloom",
        own={**IDS, "hidden_size": 32, "n_layer": 3, "n_head": 4},
        branches=("self_attention.dense", "mlp.dense_4h_to_h"),
    ),
    Architecture(
        "mpt",
        own={**IDS, "d_model": 32, "n_layers": 3, "n_heads": 4, "max_seq_len": 64},
        branches=("attn", "ffn.down_proj"),
    ),
]
CHAINS = [
    Architecture(
        "opt", {"ffn_dim": 48, "word_embed_proj_dim": 24, "do_layer_norm_before": False}, branches=(), kind="post"
    ),
    Architecture("openai-gpt", own=GPT, branches=()),
    Architecture("bert", {"is_decoder": True}, branches=()),
]
ALL = [*PLAIN, *OTHERS, *CHAINS]
REFUSED = {
    "mamba": ({**COMMON, "state_size": 4}, "cache_params"),
    "rwkv": ({**COMMON, "attention_hidden_size": 32}, "state"),
    "jamba": (
        {**COMMON, "attn_layer_period": 2, "attn_layer_offset": 1, "mamba_d_state": 4, "mamba_dt_rank": 4,
         "use_mamba_kernels": False, "num_experts": 2},
        "LinearAttentionLayer",
    ),
    "bert": (COMMON, "later tokens"),
}  # fmt: skip
PROMPT = torch.tensor([[7, 11, 13, 17, 19, 23, 29, 31], [9, 8, 7, 6, 5, 4, 3, 10]])


@lru_cache(maxsize=2)
def built(architecture: str, dtype: torch.dtype = torch.float32) -> tuple[PreTrainedModel, Layout]:
    network = made(next(a for a in ALL if str(a) == architecture), dtype)
    return network, Layout.of(network)


def made(architecture: Architecture, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Weights large enough that every branch matters, from a generator of its own."""
    config = AutoConfig.for_model(architecture.name, **(architecture.own or {**COMMON, **architecture.extra}))
    network = AutoModelForCausalLM.from_config(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.15, generator=generator)
    return network.to(dtype).eval().requires_grad_(False)


def logits(network: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        return network(input_ids=PROMPT, use_cache=False).logits


def hooks_left(network: torch.nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + ("forward" in m.__dict__) for m in network.modules())


@pytest.fixture(params=[str(a) for a in ALL], scope="module")  # all laws of one network, then the next
def named(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_stream_is_proven_and_its_branches_are_the_ones_that_write_into_it(named: str) -> None:
    _, layout = built(named)
    expected = next(a for a in ALL if str(a) == named)
    assert set(layout.branches) == ({expected.branches} if expected.branches else set())
    assert layout.proof == ("branches" if expected.branches else "chain")
    assert layout.scales == pytest.approx([expected.scale] * len(layout.scales))
    assert layout.error < 5e-7
    assert layout.layers == (2 if named == "gpt_neo" else 3)


def test_a_restart_after_any_block_is_bit_equal_to_the_full_forward(named: str) -> None:
    network, layout = built(named)
    whole = logits(network)
    with capture(network, layout, range(layout.layers)) as captured:
        logits(network)
    for layer, hidden in captured.items():
        with restart(network, layout, layer, hidden):
            assert torch.equal(logits(network), whole)
        with restart(network, layout, layer, hidden.roll(1, dims=-1)):
            assert not torch.equal(logits(network), whole)


def test_capturing_and_editing_leave_the_network_bit_equal_on_exceptions_too(named: str) -> None:
    network, layout = built(named)
    before, left = logits(network), hooks_left(network)
    assert left == 0
    with capture(network, layout, [0, 1]) as captured, edit(network, layout, {1: lambda h: h + 1}):
        assert not torch.equal(logits(network), before)
    with pytest.raises(ZeroDivisionError), edit(network, layout, {0: lambda h: h * (1 // 0)}):
        logits(network)
    with pytest.raises(ZeroDivisionError), restart(network, layout, 1, captured[1]):
        raise ZeroDivisionError
    assert torch.equal(logits(network), before)
    assert hooks_left(network) == 0


def test_an_edit_that_changes_nothing_is_bit_equal(named: str) -> None:
    network, layout = built(named)
    with edit(network, layout, dict.fromkeys(range(layout.layers), torch.clone)):
        edited = logits(network)
    assert torch.equal(edited, logits(network))


def test_a_captured_stream_is_what_the_next_block_is_given(named: str) -> None:
    """Against a plain hook of the test's own, that sees the input of the next block."""
    network, layout = built(named)
    given: list[torch.Tensor] = []

    def before(_module: Any, args: Any, kwargs: Any) -> None:
        given.append(next(x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor) and x.ndim == 3).clone())

    handle = layout.block(network, 1).register_forward_pre_hook(before, with_kwargs=True)
    with capture(network, layout, [0]) as captured:
        logits(network)
    handle.remove()
    assert torch.equal(captured[0], given[0])


@pytest.mark.parametrize("name", ["llama", "gemma2", "falcon-parallel", "bloom", "granite", "gpt_oss"])
def test_the_stream_is_proven_in_bfloat16(name: str) -> None:
    network, layout = built(name, torch.bfloat16)
    _, exact = built(name)
    assert layout.branches == exact.branches
    with capture(network, layout, [1]) as captured:
        whole = logits(network)
    with restart(network, layout, 1, captured[1]):
        assert torch.equal(logits(network), whole)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_network_whose_stream_cannot_be_proven_is_refused_with_the_reason(name: str) -> None:
    own, reason = REFUSED[name]
    with pytest.raises(ValueError, match=reason) as refused:
        Layout.of(made(Architecture(name, own=own)))
    assert refused.value.kind == "model"  # pyright: ignore[reportAttributeAccessIssue]
    assert refused.value.next  # pyright: ignore[reportAttributeAccessIssue]

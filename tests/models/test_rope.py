import pytest
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from springback.errors import RefusedError
from springback.models.rope import require_same_rope, stated_thetas, used_thetas

SMALL = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 1, "vocab_size": 30}  # fmt: skip


def test_the_base_is_worked_back_from_what_the_network_turns_by() -> None:
    network = LlamaForCausalLM(LlamaConfig(**SMALL, rope_parameters={"rope_theta": 777.0, "rope_type": "default"}))
    assert list(used_thetas(network)) == pytest.approx([777.0], rel=1e-4)


def test_a_network_that_turns_otherwise_than_stated_is_refused() -> None:
    network = LlamaForCausalLM(LlamaConfig(**SMALL))
    require_same_rope({"rope_theta": 10_000}, network)
    for stated in ({"rope_theta": 1e5}, {"rope_parameters": {"rope_theta": 1e5}}, {"text_config": {"rope_theta": 1e5}}):
        with pytest.raises(RefusedError, match="rope_theta 100000"):
            require_same_rope(stated, network)


def test_layers_of_two_kinds_have_two_bases() -> None:
    network = Gemma3ForCausalLM(
        Gemma3TextConfig(**SMALL, head_dim=16, layer_types=["sliding_attention", "full_attention"])
    )
    config = network.config.to_dict()
    assert stated_thetas(config) == {1e4, 1e6}
    require_same_rope(config, network)
    require_same_rope({"rope_theta": 1e6, "rope_local_base_freq": 1e4}, network)


def test_scaled_frequencies_are_compared_by_the_configuration() -> None:
    scaled = {"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 64}  # fmt: skip
    network = LlamaForCausalLM(LlamaConfig(**SMALL, rope_parameters=scaled))
    require_same_rope({"rope_parameters": scaled}, network)
    with pytest.raises(RefusedError):
        require_same_rope({"rope_theta": 1e4}, network)


def test_a_network_without_rotation_has_nothing_to_compare() -> None:
    require_same_rope({}, GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=30)))

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM

from springback.models import packing
from springback.models.packing import cheapest, packed, padded, why_not
from springback.models.readout import read
from springback.models.rows import Row
from springback.tensors.seed import seeded

SMALL = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
OWN = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "gemma3_text": {"head_dim": 8, "sliding_window": 32},
    "bloom": {"n_layer": 2, "n_head": 4},
    "recurrent_gemma": {"lru_width": 32, "block_types": ["recurrent", "attention"]},
    "falcon": {"alibi": True, "new_decoder_architecture": False},
}
ROWS = [
    Row((1, 5, 9, 7, 11), (7, 8, 2), 1, 0),
    Row((1, 5, 9, 4), (9, 2), 1, 0),
    Row((1, 5, 9, 7, 12, 6), (3, 4, 5, 6, 7, 8, 2), 1, 0),
]


def network(kind: str):
    with seeded(0):
        made = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SMALL | OWN.get(kind, {}))).float().eval()
        with torch.no_grad():
            for parameter in made.parameters():  # far from the smooth beginning, where every mask looks alike
                parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def logits(made, inputs) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat(list(read(made, inputs.arguments, inputs.wanted).logits(64)))


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2", "gemma3_text", "qwen3", "cohere", "opt", "granite"])
def test_packed_logits_are_those_of_each_row_alone(kind):
    made = network(kind)
    assert why_not(made) is None
    alone = torch.cat([logits(made, padded(made, [row])) for row in ROWS])
    assert_close(logits(made, packed(made, ROWS)), alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["bloom", "falcon", "recurrent_gemma"])
def test_a_network_that_cannot_be_packed_is_found_out_and_padded(kind):
    made = network(kind)
    assert why_not(made)
    assert cheapest(made, ROWS).arguments["attention_mask"].ndim == 2


@pytest.mark.parametrize("ignored", ["attention_mask", "position_ids"])
def test_a_network_that_ignores_the_mask_or_the_positions_is_found_out(ignored):
    made = network("llama")
    made.model.register_forward_pre_hook(
        lambda _module, args, options: (args, options | {ignored: None}), with_kwargs=True
    )
    assert why_not(made) == "packed logits are not those of the rows alone"


def test_a_network_whose_rows_see_each_other_a_little_is_found_out():
    made = network("llama")
    made.model.embed_tokens.register_forward_hook(lambda _module, _args, out: out + 1e-6 * out.cumsum(dim=1))
    assert why_not(made) == "rows see each other"


def test_the_shared_beginning_is_there_once():
    made = network("llama")
    inputs = packed(made, ROWS)
    assert inputs.arguments["input_ids"].shape[1] == 3 + sum(len(row) - 1 - 3 for row in ROWS)
    assert inputs.wanted.sum() == sum(len(row.answer) for row in ROWS)


def test_rows_without_anything_in_common_and_a_row_alone_can_be_packed():
    made = network("llama")
    strangers = [Row((4,), (5, 2), 1, 0), Row((6, 7), (8, 2), 1, 0)]
    for rows in (strangers, strangers[:1], [ROWS[0], ROWS[0]]):
        alone = torch.cat([logits(made, padded(made, [row])) for row in rows])
        assert_close(logits(made, packed(made, rows)), alone, rtol=1e-4, atol=1e-4)


def test_a_pack_longer_than_attention_reaches_is_padded():
    made = network("gemma3_text")
    assert cheapest(made, ROWS).arguments["attention_mask"].ndim == 4
    assert cheapest(made, ROWS * 3).arguments["attention_mask"].ndim == 2


def test_long_rows_are_padded_because_packing_them_would_cost_more():
    made = network("llama")
    long = [Row((1, *[5] * 300), (7, 2), 1, 0), Row((3, *[6] * 300), (8, 2), 1, 0)]
    made.config.max_position_embeddings = 4096
    assert cheapest(made, long).arguments["attention_mask"].ndim == 2
    assert packing.why_not(made) is None

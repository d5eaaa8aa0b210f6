import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFWriter, TokenType
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from springback.models.gguf import dequantise
from springback.models.load import load
from springback.models.tiny import TEMPLATE, byte_tokenizer
from springback.tensors.seed import seeded

HEADS, KEYS = 4, 2
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def network() -> LlamaForCausalLM:
    with seeded(3):
        return LlamaForCausalLM(LlamaConfig(
            hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=HEADS, vocab_size=260,
            num_key_value_heads=KEYS, max_position_embeddings=64, tie_word_embeddings=True, rms_norm_eps=1e-5,
            initializer_range=0.2, rope_parameters={"rope_theta": 777.0, "rope_type": "default"},
        )).eval()  # fmt: skip


def interleaved(weight: Tensor, heads: int) -> Tensor:
    """llama.cpp turns neighbouring pairs, transformers turns halves: the order of the rows in a GGUF file."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write(file: Path, made: LlamaForCausalLM, pre: str) -> None:
    writer = GGUFWriter(file, "llama")
    writer.add_name("toy")
    for add, value in [
        (writer.add_block_count, 2), (writer.add_context_length, 64), (writer.add_embedding_length, 32),
        (writer.add_feed_forward_length, 48), (writer.add_head_count, HEADS), (writer.add_head_count_kv, KEYS),
        (writer.add_rope_freq_base, 777.0), (writer.add_layer_norm_rms_eps, 1e-5), (writer.add_vocab_size, 260),
        (writer.add_rope_dimension_count, 8),
    ]:  # fmt: skip
        add(value)
    vocab = byte_tokenizer().get_vocab()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([*sorted(vocab, key=vocab.__getitem__), "12"])
    writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * 257)
    writer.add_token_merges(["1 2"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_chat_template(TEMPLATE)
    for name, weight in made.state_dict().items():
        if name != "lm_head.weight":
            writer.add_tensor(*renamed(name, weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def renamed(name: str, weight: Tensor) -> tuple[str, np.ndarray]:
    if "q_proj" in name or "k_proj" in name:
        weight = interleaved(weight, HEADS if "q_proj" in name else KEYS)
    if name.startswith("model.layers."):
        _, _, layer, rest = name.split(".", 3)
        return f"blk.{layer}.{NAMES[rest.removesuffix('.weight')]}.weight", weight.numpy()
    return {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}[
        name
    ], weight.numpy()


@pytest.mark.parametrize("pre", ["smollm", "default"])
def test_a_gguf_file_becomes_a_folder_with_the_same_network(tmp_path: Path, pre: str) -> None:
    made = network()
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "toy.gguf", made, pre)
    dequantise(tmp_path / "in" / "toy.gguf", tmp_path / "out")
    model = load(str(tmp_path / "out"), dtype=torch.float32)
    ids = torch.arange(3, 60)[None]
    torch.testing.assert_close(model.network(ids).logits, made(ids).logits)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 777.0
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (model.template, model.context) == (TEMPLATE, 64)
    model.network.float()  # what a network that counts as quantised refuses


@pytest.mark.parametrize(("pre", "tokens"), [("smollm", ["a", "1", "2"]), ("default", ["a", "12"])])
def test_smollm_reads_every_digit_by_itself(tmp_path: Path, pre: str, tokens: list[str]) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "toy.gguf", network(), pre)
    dequantise(tmp_path / "in" / "toy.gguf", tmp_path / "out")
    assert load(str(tmp_path / "out"), dtype=torch.float32).tokenizer.tokenize("a12") == tokens

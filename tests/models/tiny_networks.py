"""Small random networks of several architectures, with weights large enough for differences to show."""

import torch
import transformers as T

from springback.tensors.seed import seeded

SHAPE = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GPT2 = {
    "vocab_size": 97, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 128, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
CONFIGS = {
    "llama": lambda: T.LlamaConfig(**SHAPE),
    "qwen2": lambda: T.Qwen2Config(**SHAPE),
    "gpt2": lambda: T.GPT2Config(**GPT2),
    "gemma2 (capped logits, window 6)": lambda: T.Gemma2Config(**SHAPE, head_dim=8, sliding_window=6),
    "gemma3 (window 6)": lambda: T.Gemma3TextConfig(**SHAPE, head_dim=8, sliding_window=6),
    "granite (scaled logits)": lambda: T.GraniteConfig(**SHAPE, logits_scaling=3.0),
    "mistral (window 6)": lambda: T.MistralConfig(**SHAPE, sliding_window=6),
    "opt": lambda: T.OPTConfig(
        vocab_size=97,
        hidden_size=32,
        ffn_dim=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=128,
        word_embed_proj_dim=32,
    ),
    "bloom (no positions)": lambda: T.BloomConfig(vocab_size=97, hidden_size=32, n_layer=3, n_head=4),
    "lfm2 (convolutions)": lambda: T.Lfm2Config(**SHAPE, layer_types=["conv", "full_attention", "conv"]),
}


def network(name):
    with seeded(0):
        built = T.AutoModelForCausalLM.from_config(CONFIGS[name]()).float()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(4 if parameter.ndim > 1 else 1)
    return built.eval()


def tokens(count, seed):
    return tuple(torch.randint(3, 97, (count,), generator=torch.Generator().manual_seed(seed)).tolist())


def plain_logits(built, ids):
    with torch.no_grad():
        return built(torch.tensor([ids]), use_cache=False).logits[0]

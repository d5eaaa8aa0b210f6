"""Pairs of every awkward kind, and small networks of every known kind, for tests of entanglement."""

from functools import lru_cache

import torch
import transformers as T
from tests.models.tiny_networks import CONFIGS, SHAPE, tokens

from springback.models.rows import Row, RowPair
from springback.tensors.seed import seeded

NEOX = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 128, "rotary_pct": 0.5,
}  # fmt: skip
MORE = {
    "neox (parallel blocks, LayerNorm with bias)": lambda: T.GPTNeoXConfig(**NEOX),
    "neox (tied)": lambda: T.GPTNeoXConfig(**NEOX, use_parallel_residual=False, tie_word_embeddings=True),
    "llama (tied, GQA)": lambda: T.LlamaConfig(**SHAPE, tie_word_embeddings=True),
    "qwen3 (norms of heads, tied)": lambda: T.Qwen3Config(**SHAPE, head_dim=8, tie_word_embeddings=True),
    "phi (head with bias)": lambda: T.PhiConfig(**SHAPE),
    "mixtral (experts)": lambda: T.MixtralConfig(**SHAPE, num_local_experts=4, num_experts_per_tok=2),
}
ALL = CONFIGS | MORE
KNOWN = [name for name in ALL if name not in ("lfm2 (convolutions)", "mixtral (experts)")]


def network(name, dtype=torch.float64):
    with seeded(0):
        built = T.AutoModelForCausalLM.from_config(ALL[name]()).to(dtype)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(4 if parameter.ndim > 1 else 1)
    return built.eval()


@lru_cache(maxsize=32)
def shared(name, dtype=torch.float64):
    """One that several tests look at and none changes; it is tried once."""
    return network(name, dtype)


def pair(prompt, chosen, rejected):
    return RowPair(Row(prompt, chosen, 1, 0), Row(prompt, rejected, 1, 0))


def pairs():
    """Plain, alike at first with a token that pads, identical, an empty answer, both empty."""
    prompt, one, other = tokens(5, 1), tokens(6, 2), tokens(8, 3)
    return [
        pair(prompt, one, other),
        pair((*prompt[:3], 0), one[:3] + other[:2], one[:3] + other[3:6]),
        pair(prompt, one, one),
        pair(prompt, one, ()),
        pair(prompt, (), ()),
    ]


def autograd(built, row, names=None):
    """∇ Σ log π of the answer by one backward pass over one unpadded row: independent of what is tested."""
    names = names or [name for name, _ in built.named_parameters()]
    parameters = [built.get_parameter(name) for name in names]
    if not row.answer:
        return {name: torch.zeros_like(parameter) for name, parameter in zip(names, parameters, strict=True)}
    ids = torch.tensor([row.prompt + row.answer])
    logprobs = built(ids, use_cache=False).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])
    found = torch.autograd.grad(logprobs[len(row.prompt) - 1 :].sum(), parameters, allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for n, p, g in zip(names, parameters, found, strict=True)}


def dot(one, other):
    return sum(float((one[name] * other[name]).sum()) for name in one)

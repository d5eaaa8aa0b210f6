"""Fixtures of the tests that tune: a small Llama and rows for it."""

from collections.abc import Callable

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from springback.models.rows import Row
from springback.tensors.seed import seeded

Make = Callable[..., LlamaForCausalLM]


@pytest.fixture
def llama() -> Make:
    """Make a Llama of two layers with random weights; the same seed gives the same weights in every dtype."""

    def make(dtype: torch.dtype = torch.float32, *, seed: int = 0, tied: bool = True) -> LlamaForCausalLM:
        config = LlamaConfig(
            vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, tie_word_embeddings=tied, max_position_embeddings=256,
        )  # fmt: skip
        with seeded(seed):
            return LlamaForCausalLM(config).to(dtype).eval()

    return make


@pytest.fixture
def rows() -> list[Row]:
    """24 rows of unequal lengths whose prompts begin alike."""
    draw = torch.Generator().manual_seed(5)

    def tokens(least: int, most: int) -> tuple[int, ...]:
        length = int(torch.randint(least, most, (1,), generator=draw))
        return tuple(torch.randint(3, 97, (length,), generator=draw).tolist())

    return [Row((1, 5, 9, *tokens(1, 5)), (*tokens(1, 9), 2), 1, 0) for _ in range(24)]

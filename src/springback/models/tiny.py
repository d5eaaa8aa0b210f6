"""A random language model of about a megabyte, made in memory: for tests and for `--tiny`. Its figures mean nothing."""

from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from springback.models import templates
from springback.models.gguf import METADATA, untied_state, write_folder
from springback.models.language_model import LanguageModel
from springback.tensors.seed import seeded

PAD: Final = "<|pad|>"
START: Final = "<|im_start|>"
STOP: Final = "<|im_end|>"
CONTEXT: Final = 1024
TEMPLATE: Final = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def tiny(
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    *,
    layers: int = 4,
    hidden: int = 96,
    heads: int = 4,
    scale: float = 0.08,
) -> LanguageModel:
    """A Llama with one token a byte and three control tokens; the same seed gives the same weights.

    `scale` is the standard deviation of the weights: with less, all tokens are nearly equally likely.
    """
    tokenizer = byte_tokenizer()
    config = _config(len(tokenizer), layers=layers, hidden=hidden, heads=heads, scale=scale)
    with seeded(seed):
        network = LlamaForCausalLM(config)
    network.to(dtype)  # pyright: ignore[reportArgumentType]
    network.eval().requires_grad_(requires_grad=False)
    return LanguageModel(
        network=network,
        tokenizer=tokenizer,
        name=f"tiny-{seed}",
        origin="random weights: its figures mean nothing",
        weights_sha256=templates.bytes_sha256(save(untied_state(network), METADATA)),
        template_sha256=templates.text_sha256(TEMPLATE),
        licence=None,
        context=CONTEXT,
        template=TEMPLATE,
        notes=("The model is random: its figures mean nothing.",),
    )


def _config(vocab: int, *, layers: int, hidden: int, heads: int, scale: float) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=scale,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """259 tokens: pad 0, start 1, stop 2, then the 256 bytes. Any text, one token a byte, back without loss."""
    letters = [PAD, START, STOP, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(letters)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        bos_token=START,
        eos_token=STOP,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def save_folder(model: LanguageModel, path: Path) -> Path:
    """Write `config.json`, safetensors and tokenizer of a model so that `load` reads them; returns `path`."""
    config = model.network.config.to_dict() | {"architectures": [type(model.network).__name__]}
    write_folder(path, config, untied_state(model.network), model.tokenizer)
    return path

"""A file as an archive that its model unpacks: packed, unpacked, proven. What no model can code is deflated instead."""

import json
import platform
import zlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from springback import __version__
from springback.data.plain_text import Text
from springback.errors import RefusedError
from springback.experiments.compress.codec import Code, Report, decode_tokens, encode_tokens, other_logits, threads
from springback.experiments.compress.config import CompressConfig
from springback.experiments.compress.documents import NOT_BACK, text_of, tokens_of
from springback.experiments.compress.header import Coded, Header, other_model
from springback.experiments.compress.lockstep import Layout, blocks_for
from springback.experiments.compress.policy import policy_of
from springback.models.language_model import LanguageModel
from springback.store.provenance import sha256_of_bytes, sha256_of_file, sha256_of_text

ARCHIVE_WINDOW = 1_024
"""Most tokens of a block's window unless --window asks for another: all blocks' windows are held at one time."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One file, packed in memory."""

    text: Text
    header: Header
    payload: bytes
    code: Code | None
    """None where the file was deflated."""


def pack(
    text: Text, model: LanguageModel, config: CompressConfig, *, asked: str, blocks: int | None, report: Report
) -> Packed:
    """Code the file with the model, or deflate it where it is no text or its tokens do not give it back."""
    pieces, why = _pieces(text, model)
    if why is not None or not pieces:
        raw = Path(text.file).read_bytes()
        return Packed(text, Header(len(raw), sha256_of_bytes(raw), None, why), zlib.compress(raw, 9), None)
    policy, ends = policy_of(model, config)
    tokens = array("i", [token for piece in pieces for token in piece])
    tokens.extend([] if ends.eos is None else [ends.eos])
    window, stride = _windows(config, policy.window, policy.stride)
    layout = Layout(len(tokens), _blocks(blocks, len(tokens), window), window, stride, ends.bos)
    with threads(torch.get_num_threads()):
        code = encode_tokens(model.network, tokens, layout, report=report)
    coded = Coded(
        name=model.name, asked=asked, weights_sha256=model.weights_sha256, tokenizer_sha256=tokenizer_sha256(model),
        dtype=str(_parameter(model).dtype).removeprefix("torch."), bos=policy.bos, bos_id=ends.bos, eos_id=ends.eos,
        window=window, stride=stride, blocks=layout.blocks, tokens=layout.tokens, pieces=tuple(map(len, pieces)),
        code_bits=code.bits, probe=code.probe, machine=machine(model),
    )  # fmt: skip
    return Packed(text, Header(text.bytes, sha256_of_file(Path(text.file)), coded, None), code.payload, code)


def unpack(header: Header, payload: bytes, model: Callable[[Coded], LanguageModel], *, report: Report) -> bytes:
    """The file's bytes. RefusedError: another model, or logits that are not those it was packed with."""
    if header.coded is None:
        raw = zlib.decompressobj().decompress(payload, header.bytes + 1)
    else:
        raw = _decoded(header.coded, payload, model(header.coded), report)
    if sha256_of_bytes(raw) != header.sha256:
        raise other_logits()
    return raw


def _decoded(coded: Coded, payload: bytes, model: LanguageModel, report: Report) -> bytes:
    if refused := other_model(coded, model.name, model.weights_sha256, tokenizer_sha256(model)):
        raise refused
    layout = Layout(coded.tokens, coded.blocks, coded.window, coded.stride, coded.bos_id)
    with threads(int(coded.machine["threads"])):
        tokens = decode_tokens(model.network, payload, layout, probe=coded.probe, report=report)
    found, begin = [], 0
    for length in coded.pieces:
        found.append(text_of(model, tokens[begin : begin + length]))
        begin += length
    return "".join(found).encode("utf-8", "surrogatepass")


def prove(packed: Packed, model: LanguageModel, *, report: Report) -> None:
    """Unpack what was packed and hold it against the file. RuntimeError where it differs or the code is too long."""
    raw = unpack(packed.header, packed.payload, lambda _coded: model, report=report)
    if raw != Path(packed.text.file).read_bytes():
        raise RuntimeError(f"{packed.text.file}: what was unpacked is not what was packed")
    if packed.code is not None and not packed.code.within_bound:
        raise RuntimeError(
            f"{packed.text.file}: the code has {packed.code.bits} bits, more than its cross-entropy of "
            f"{packed.code.cross_entropy_bits} + 2 + {packed.code.excess_bits}"
        )


def tokenizer_sha256(model: LanguageModel) -> str:
    """Of everything that turns text into ids and back; padding and truncation, which are not used, left out."""
    tokenizer: Any = model.tokenizer
    if not tokenizer.is_fast:
        return sha256_of_text(json.dumps([type(tokenizer).__name__, sorted(tokenizer.get_vocab().items())]))
    said = json.loads(tokenizer.backend_tokenizer.to_str())
    kept = {name: part for name, part in said.items() if name not in ("truncation", "padding")}
    return sha256_of_text(json.dumps(kept, sort_keys=True))


def machine(model: LanguageModel) -> dict[str, str | int]:
    """What the last bit of a logit depends on, beside the weights."""
    packages = ("torch", "transformers", "tokenizers", "numpy")
    return {
        "device": _parameter(model).device.type, "threads": torch.get_num_threads(),
        "processor": platform.machine(), "vectors": torch.backends.cpu.get_cpu_capability(),
        "springback": __version__, **{name: version(name) for name in packages},
    }  # fmt: skip


def _pieces(text: Text, model: LanguageModel) -> tuple[list[Sequence[int]], str | None]:
    """Tokens of each piece, and why they will not do."""
    if text.fault is not None:
        return [], f"it is no UTF-8 ({text.fault})"
    pieces: list[Sequence[int]] = []
    for piece in text.pieces():
        tokens = tokens_of(model, piece)
        if text_of(model, tokens) != piece:
            return [], NOT_BACK
        pieces.append(array("i", tokens))
    return pieces, None


def _windows(config: CompressConfig, window: int, stride: int) -> tuple[int, int]:
    if config.window is not None or window <= ARCHIVE_WINDOW:
        return window, stride
    return ARCHIVE_WINDOW, ARCHIVE_WINDOW // 2 if config.stride is None else min(stride, ARCHIVE_WINDOW)


def _blocks(asked: int | None, tokens: int, window: int) -> int:
    if asked is None:
        return blocks_for(tokens, window)
    if not 1 <= asked <= tokens:
        raise RefusedError(
            f"A text of {tokens} tokens has 1 to {tokens} blocks: {asked} were asked for.", kind="option",
            where="--blocks", next=f"Give --blocks {blocks_for(tokens, window)}.",
        )  # fmt: skip
    return asked


def _parameter(model: LanguageModel) -> torch.Tensor:
    return next(model.network.parameters())

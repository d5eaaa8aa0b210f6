"""A text under a model against general compressors: rate, bytes of a real archive, and CPU seconds.

    OMP_NUM_THREADS=1 python bench/compressors.py FILE [--model smollm2-135m-instruct] [--bytes 20000] [--blocks N]

Every compressor must give the text back to the byte; ours writes an archive and reads it, header and checksum included.
Ours holds 135 million parameters that the others do not ship. Exit 1 where a round trip differs.
"""

import argparse
import lzma
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from springback.data.plain_text import look
from springback.errors import RefusedError
from springback.experiments.compress.archive import pack, unpack
from springback.experiments.compress.config import CompressConfig
from springback.experiments.compress.header import MAGIC, opened
from springback.experiments.compress.score import compress
from springback.models.load import load
from springback.store.sealed import seal


class Result(NamedTuple):
    """One compressor on the text."""

    name: str
    bytes: int
    pack_seconds: float
    unpack_seconds: float
    same: bool


def main() -> int:
    asked = _asked()
    raw = asked.file.read_bytes()[: asked.bytes].decode("utf-8", "ignore").encode()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "text")
        file.write_bytes(raw)
        results = [*_general(raw), *_ours(file, raw, asked)]
    for one in results:
        size = f"{one.bytes:8,} bytes  {8 * one.bytes / len(raw):.3f} bit/byte  {len(raw) / one.bytes:5.2f}:1"
        spent = f"{one.pack_seconds:7.2f} CPU-s, back {one.unpack_seconds:7.2f} CPU-s"
        _say(f"{one.name:34} {size}  {spent}  {'same' if one.same else 'DIFFERS'}")
    best = min(one.bytes for one in results[:3])
    _say(f"{len(raw):,} bytes; ours against the best of the others: {best / results[-1].bytes:.2f} times smaller")
    return 0 if all(one.same for one in results) else 1


def _general(raw: bytes) -> list[Result]:
    best, back = _zstd()
    return [
        _timed("zlib 9", raw, lambda data: zlib.compress(data, 9), zlib.decompress),
        _timed("xz 9e", raw, lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME), lzma.decompress),
        _timed("zstd 22", raw, best, back),
    ]


def _zstd() -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
    if sys.version_info >= (3, 14):
        from compression import zstd

        return lambda data: zstd.compress(data, 22), zstd.decompress
    import zstandard

    return zstandard.ZstdCompressor(level=22).compress, zstandard.ZstdDecompressor().decompress


def _ours(file: Path, raw: bytes, asked: Any) -> list[Result]:
    try:
        model = load(asked.model, dtype=torch.float32)
    except RefusedError as error:
        _say(f"{error.message} Using the tiny model.")
        model = load("tiny", dtype=torch.float32)
    text, config, silent = look(file), CompressConfig(), lambda *_: None
    began = time.process_time()
    (rate,) = compress([text], model, config, report=silent).files
    scored = time.process_time() - began
    assert rate.gamma is not None
    _say(f"{model.name}: γ {rate.gamma:.4f}, {rate.code_bits:,.0f} bits, {rate.tokens:,} tokens in {scored:.1f} s")
    archive = file.with_suffix(".sbz")

    def packed(_data: bytes) -> bytes:
        one = pack(text, model, config, asked=asked.model, blocks=asked.blocks, report=silent)
        seal(archive, MAGIC, one.header.json(), one.payload)
        return archive.read_bytes()

    def unpacked(_data: bytes) -> bytes:
        return unpack(*opened(archive), lambda _coded: model, report=silent)

    found = _timed("ours, a real archive", raw, packed, unpacked)
    header, payload = opened(archive)
    assert header.coded is not None
    name = f"ours, {header.coded.blocks} blocks, without the header"
    return [found._replace(name=name, bytes=len(payload)), found]


def _timed(name: str, raw: bytes, packs: Callable[[bytes], bytes], unpacks: Callable[[bytes], bytes]) -> Result:
    began = time.process_time()
    small = packs(raw)
    between = time.process_time()
    same = unpacks(small) == raw
    return Result(name, len(small), between - began, time.process_time() - between, same)


def _asked() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--bytes", type=int, default=20_000)
    parser.add_argument("--blocks", type=int)
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

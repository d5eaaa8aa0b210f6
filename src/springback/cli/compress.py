"""`springback compress FILE… --model M`: code length and compression rate of plain text under a model."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from springback.cli.answer import Answer
from springback.cli.options import COMMON, Common, Device, Dtype, Flat
from springback.cli.output import tell
from springback.data.plain_text import read_texts
from springback.errors import RefusedError
from springback.experiments.compress import CompressConfig, Compressed, as_json, compress

if TYPE_CHECKING:
    from springback.models.language_model import LanguageModel
    from springback.stats.measured import Measured


def app(
    *files: Path,
    model: str = "smollm2-135m-instruct",
    config: Flat[CompressConfig] = CompressConfig(),
    dtype: Dtype = "float32",
    device: Device = "auto",
    common: Common = COMMON,
) -> Answer:
    """Compression rate γ of plain text files: bits of code per bit of UTF-8 text, lower = closer to the model.

    Args:
        files: Text files in UTF-8, scored whole.
        model: Path, hub id or alias of the model.
        dtype: Compute dtype; log-probabilities are made in float32 from it.
        device: Where the model runs.
    """
    if not files:
        raise RefusedError("No file was named.", kind="option", next="springback compress FILE… --model M")
    texts = read_texts(files)

    import torch

    from springback.models.load import load

    loaded = load(model, dtype=getattr(torch, dtype), device=_named(device))
    done = compress(texts, loaded, config, report=_silent if common.quiet else _progress)
    lines = [*_table(done), f"gamma: micro {_shown(done.gamma.micro)}, macro {_shown(done.gamma.macro)} bit/bit"]
    return Answer(_result(done, loaded), lines=lines, warnings=done.warnings)


def _result(done: Compressed, model: "LanguageModel") -> dict[str, Any]:
    return {
        "files": [asdict(file) for file in done.files],
        "gamma": {"micro": as_json(done.gamma.micro), "macro": as_json(done.gamma.macro)},
        "policy": asdict(done.policy),
        "model": {"name": model.name, "origin": model.origin, "weights_sha256": model.weights_sha256},
    }


def _table(done: Compressed) -> list[str]:
    return [
        f"{file.file}: {file.bytes:,} bytes, {file.tokens:,} tokens, {file.code_bits:,.1f} bits, gamma {file.gamma:.4f}"
        for file in done.files
    ]


def _shown(rate: "Measured") -> str:
    interval = "" if rate.low is None else f" [{rate.low:.4f}, {rate.high:.4f}]"
    return f"{rate.estimate:.4f}{interval}"


def _named(device: str) -> str:
    import torch

    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _progress(done: int, total: int) -> None:
    tell([f"{done:,} of {total:,} tokens"])


def _silent(done: int, total: int) -> None:
    """Nothing is said."""

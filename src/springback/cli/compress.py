"""`springback compress FILE… --model M`: compression rate under a model, and an archive that it unpacks."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from springback.cli.answer import Answer
from springback.cli.options import COMMON, Common, Device, Dtype, Flat
from springback.cli.progress import progress
from springback.experiments.compress.config import CompressConfig, Outputs

if TYPE_CHECKING:
    from springback.experiments.compress.archive import Packed
    from springback.experiments.compress.ask import Done
    from springback.experiments.compress.score import FileRate
    from springback.models.language_model import LanguageModel
    from springback.stats.measured import Measured


def app(
    *files: Path,
    model: str = "smollm2-135m-instruct",
    config: Flat[CompressConfig] = CompressConfig(),
    outputs: Flat[Outputs] = Outputs(),
    dtype: Dtype = "float32",
    device: Device = "auto",
    common: Common = COMMON,
) -> Answer:
    """Compression rate γ of texts: bits of code per bit of UTF-8 text, lower = closer to the model.

    With --out the one file becomes an archive, which only the same model unpacks; any file is taken, one that is no
    text is deflated. With --verify it is proven that the code has the length it should and gives the text back.

    Args:
        files: Text files in UTF-8, scored whole, or with --read answers JSON rows.
        model: Path, hub id or alias of the model.
        dtype: Compute dtype; log-probabilities are made in float32 from it.
        device: Where the model runs.
    """
    from springback.experiments.compress.ask import carry_out, texts_of

    texts = texts_of(files, config, outputs)

    import torch

    from springback.experiments.environment import best_device
    from springback.models.load import load

    place = best_device() if device == "auto" else device
    loaded = load(model, dtype=getattr(torch, dtype), device=place)
    done = carry_out(texts, loaded, config, outputs, asked=model, told=progress(quiet=common.quiet))
    warnings = [*done.rates.warnings, *(warning for one in done.packed for warning in _deflated(one))]
    return Answer(_result(done, loaded, outputs), lines=_lines(done, outputs), warnings=warnings)


def _result(done: "Done", model: "LanguageModel", outputs: Outputs) -> dict[str, Any]:
    from springback.experiments.compress.score import as_json

    found: dict[str, Any] = {
        "files": [_file(file) for file in done.rates.files],
        "gamma": {"micro": as_json(done.rates.micro), "macro": as_json(done.rates.macro)},
        "policy": asdict(done.rates.policy),
        "model": {"name": model.name, "origin": model.origin, "weights_sha256": model.weights_sha256},
    }
    if done.archive is not None:
        path, size = done.archive
        found["archive"] = {"file": str(path), "bytes": size}
    if done.packed:
        found["codes"] = [_code(one) for one in done.packed]
    if outputs.verify:
        found["verified"] = True
    if outputs.token_bits is not None:
        found["token_bits"] = str(outputs.token_bits)
    return found


def _file(file: "FileRate") -> dict[str, Any]:
    """As the contract has it; the number of answers only where a file holds them."""
    told = asdict(file)
    answers = told.pop("documents")
    return told if answers in (0, 1) else {**told, "answers": answers}


def _code(one: "Packed") -> dict[str, Any]:
    said = {"file": one.text.file, "bytes": one.text.bytes, "payload_bytes": len(one.payload)}
    if one.code is None or one.header.coded is None:
        return {**said, "coder": "deflate", "why": one.header.why or "it is empty"}
    coded, code = one.header.coded, one.code
    return {
        **said, "coder": "model", "code_bits": code.bits, "cross_entropy_bits": code.cross_entropy_bits,
        "quantisation_bits": code.excess_bits, "blocks": coded.blocks, "window": coded.window, "stride": coded.stride,
    }  # fmt: skip


def _deflated(one: "Packed") -> list[str]:
    if one.header.why is None:
        return []
    return [f"{one.text.file} was deflated, the model did not code it: {one.header.why}"]


def _lines(done: "Done", outputs: Outputs) -> list[str]:
    lines = [_rate(file) for file in done.rates.files]
    lines.append(f"gamma: micro {_shown(done.rates.micro)}, macro {_shown(done.rates.macro)}")
    for one, rate in zip(done.packed, done.rates.files, strict=False):
        lines += _packed(one, rate)
    if outputs.verify:
        lines.append("verified: every file came back from its code, and no code is longer than it may be")
    if done.archive is not None:
        lines.append(f"archive: {done.archive[0]}, {done.archive[1]:,} bytes")
    return lines


def _rate(file: "FileRate") -> str:
    if file.code_bits is None:
        return f"{file.file}: {file.bytes:,} bytes, not scored"
    size = f"{file.file}: {file.bytes:,} bytes, {file.tokens:,} tokens"
    return f"{size}, {file.code_bits:,.1f} bits, gamma {file.gamma:.4f}"


def _packed(one: "Packed", rate: "FileRate") -> list[str]:
    if one.code is None or one.header.coded is None:
        return [f"{one.text.file}: deflated to {len(one.payload):,} bytes"]
    code, blocks = one.code, one.header.coded.blocks
    lines = [
        f"{one.text.file}: code of {code.bits:,} bits, allowed are {code.cross_entropy_bits:,.1f} (cross-entropy) + 2 "
        f"+ {code.excess_bits:.1g} (quantisation)"
    ]
    if rate.code_bits and blocks > 1:
        cost = code.cross_entropy_bits - rate.code_bits
        share = 100 * cost / rate.code_bits
        lines.append(f"  {blocks} blocks without each other's context cost {cost:,.0f} bits ({share:.1f} %)")
    return lines


def _shown(rate: "Measured") -> str:
    if rate.estimate is None:
        return f"not measured ({rate.why})"
    interval = "" if rate.low is None else f" [{rate.low:.4f}, {rate.high:.4f}]"
    return f"{rate.estimate:.4f}{interval} bit/bit"

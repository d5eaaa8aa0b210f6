"""What one call of `springback compress` does: checked first, then scored, packed, proven and written."""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from springback.data.plain_text import Text, look, require_text
from springback.errors import RefusedError
from springback.experiments.compress.archive import Packed, pack, prove
from springback.experiments.compress.config import CompressConfig, Outputs
from springback.experiments.compress.header import MAGIC, SUFFIX
from springback.experiments.compress.score import Compressed, compress
from springback.experiments.compress.token_bits import require_writable, token_bits
from springback.models.language_model import LanguageModel
from springback.store.sealed import seal

Told = Callable[[str], Callable[[int, int], None]]
"""Given what is being done, a function that is told how much of how much."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came out."""

    rates: Compressed
    packed: tuple[Packed, ...]
    archive: tuple[Path, int] | None
    """Its path and bytes."""


def texts_of(files: Sequence[Path], config: CompressConfig, outputs: Outputs) -> list[Text]:
    """Every file, looked at; `RefusedError` for what cannot be done, before a model is loaded."""
    _require_possible(files, config, outputs)
    if config.read == "answers":
        return [Text(str(file), _size(file)) for file in files]
    texts = [look(file) for file in files]
    for text in texts:
        if not (outputs.out or outputs.verify):
            require_text(text)
    return texts


def carry_out(
    texts: Sequence[Text], model: LanguageModel, config: CompressConfig, outputs: Outputs, *, asked: str, told: Told
) -> Done:
    """Score, and with `out` or `verify` pack; an archive is written last."""
    coding = outputs.verify or outputs.out is not None
    with ExitStack() as stack:
        keep = None
        if outputs.token_bits is not None:
            about = {"files": json.dumps([text.file for text in texts]), "model": model.weights_sha256, "unit": "bit"}
            keep = stack.enter_context(token_bits(outputs.token_bits, about))
        rates = compress(texts, model, config, report=told("bytes scored"), keep=keep, lenient=coding)
    packed = [
        pack(text, model, config, asked=asked, blocks=outputs.blocks, report=told("tokens packed"))
        for text in (texts if coding else ())
    ]
    for one in packed if outputs.verify else ():
        prove(one, model, report=told("tokens unpacked"))
    return Done(rates, tuple(packed), _written(packed, outputs))


def _written(packed: Sequence[Packed], outputs: Outputs) -> tuple[Path, int] | None:
    if outputs.out is None:
        return None
    return outputs.out, seal(outputs.out, MAGIC, packed[0].header.json(), packed[0].payload)


def _require_possible(files: Sequence[Path], config: CompressConfig, outputs: Outputs) -> None:
    if not files:
        raise RefusedError("No file was named.", kind="option", next="springback compress FILE… --model M")
    if outputs.token_bits is not None:
        require_writable(outputs.token_bits)
    if outputs.out is not None:
        _require_archive(files, outputs.out)
    if config.read == "answers" and (outputs.out or outputs.verify):
        raise RefusedError(
            "Answers are coded given their prompts, which an archive would not hold.", kind="option",
            where="--out" if outputs.out else "--verify", next="Give --read text to pack the file as it is.",
        )  # fmt: skip
    if outputs.blocks is not None and not (outputs.out or outputs.verify):
        raise RefusedError("--blocks is for --out and --verify: nothing is packed here.", kind="option",
                           where="--blocks", next="Leave it out, or add --verify.")  # fmt: skip


def _require_archive(files: Sequence[Path], out: Path) -> None:
    if out.suffix != SUFFIX:
        raise RefusedError(f"An archive's name ends in {SUFFIX}: {out.name} was given.", kind="option",
                           where="--out", next=f"Give --out {out.name}{SUFFIX}.")  # fmt: skip
    if len(files) != 1:
        raise RefusedError(f"An archive holds one file; {len(files)} were named.", kind="option", where="--out",
                           next="Pack each alone, or put them into a tar file first.")  # fmt: skip
    if not out.parent.is_dir() or out.is_dir():
        raise RefusedError(f"{out} cannot be written: there is no folder for it.", kind="disk", where=str(out),
                           next="Make the folder, or name another place.")  # fmt: skip
    if out.resolve() == files[0].resolve():
        raise RefusedError(f"{out} is the file that is to be packed.", kind="option", where="--out",
                           next="Name another place.")  # fmt: skip


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise RefusedError(f"{file} cannot be read: {error.strerror}.", kind="data", where=str(file),
                           next="Check the path and its permissions.") from error  # fmt: skip

"""An archive given back: where to, by which model, and whether this machine is like the one that packed it."""

from collections.abc import Callable
from pathlib import Path

import torch

from springback.errors import RefusedError
from springback.experiments.compress.archive import machine, unpack
from springback.experiments.compress.header import SUFFIX, Coded, Header, differences, opened
from springback.models.aliases import ALIASES
from springback.models.language_model import LanguageModel
from springback.models.load import load
from springback.models.place import TINY
from springback.store.provenance import sha256_of_file
from springback.store.sealed import write_whole


def header_of(file: Path) -> tuple[Header, bytes]:
    """Header and payload, checked against the checksum."""
    return opened(file)


def restore(
    file: Path,
    header: Header,
    payload: bytes,
    to: Path | None,
    model: Callable[[Coded], LanguageModel],
    *,
    report: Callable[[int, int], None],
) -> tuple[Path, bool]:
    """Write the file; returns its path and whether it was written. One that is there and equal is left as it is.

    Raises:
        RefusedError: no place for it, another file in its place that was not named, or what `unpack` refuses.
    """
    path, same = _place(file, header, to)
    raw = unpack(header, payload, model, report=report)
    if not same:
        write_whole(path, raw)
    return path, not same


def load_for(coded: Coded, named: str | None) -> tuple[LanguageModel, list[str]]:
    """The model in the dtype and on the kind of device that packed it, and what else differs, in words."""
    device = str(coded.machine["device"])
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device):
        raise RefusedError(
            f"The archive was packed on {device}, and there is none here: other logits would come out.",
            kind="device", where="the archive's header", next=f"Unpack it on a machine that has {device}.",
        )  # fmt: skip
    model = load(named or _named_then(coded), dtype=getattr(torch, coded.dtype), device=device)
    theirs = {name: value for name, value in coded.machine.items() if name != "threads"}  # those are set
    return model, list(differences(theirs, machine(model)))


def _named_then(coded: Coded) -> str:
    """Never a name that would be looked for on the network: an archive may come from anywhere."""
    if coded.asked in (TINY, *ALIASES) or Path(coded.asked).is_dir():
        return coded.asked
    raise RefusedError(
        f"The archive was packed with {coded.name} (weights sha256 {coded.weights_sha256[:16]}…), given as "
        f"{coded.asked}.", kind="model", where="--model", next="Say where that model is: --model M.",
    )  # fmt: skip


def _place(file: Path, header: Header, to: Path | None) -> tuple[Path, bool]:
    """Where to, and whether the very file stands there."""
    if to is None and file.suffix != SUFFIX:
        raise RefusedError(f"{file.name} does not end in {SUFFIX}, so it does not say where to.", kind="option",
                           where="--to", next="Give --to FILE.")  # fmt: skip
    path = file.with_suffix("") if to is None else to
    if path.is_dir() or not path.parent.is_dir():
        raise RefusedError(f"{path} cannot be written: it is a folder, or its folder is not there.", kind="disk",
                           where=str(path), next="Give --to FILE.")  # fmt: skip
    same = path.is_file() and path.stat().st_size == header.bytes and sha256_of_file(path) == header.sha256
    if path.exists() and not same and to is None:
        raise RefusedError(f"{path} is there and is another file.", kind="disk", where=str(path),
                           next="Give --to FILE, or move it away.")  # fmt: skip
    return path, same

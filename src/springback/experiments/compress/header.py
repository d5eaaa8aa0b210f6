"""What an archive says of itself: which model, laid out how, computed where. No torch here."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from springback.errors import RefusedError
from springback.store.sealed import Sealed, unseal

MAGIC: Final = b"\x93SBZ\r\n\x1a\n"
"""Eight bytes that a transfer as text would change."""
FORMAT: Final = 1
SUFFIX: Final = ".sbz"


@dataclass(frozen=True, slots=True)
class Coded:
    """How a model coded the text."""

    name: str
    asked: str
    """The model as it was named on the command line."""
    weights_sha256: str
    tokenizer_sha256: str
    dtype: str
    bos: str | None
    bos_id: int | None
    eos_id: int | None
    """Coded as the last token where it is not None."""
    window: int
    stride: int
    blocks: int
    tokens: int
    pieces: tuple[int, ...]
    """Tokens of each piece that was tokenised alone."""
    code_bits: int
    probe: str
    machine: Mapping[str, str | int]
    """Device, threads, processor and versions: what the last bit of a logit depends on."""


@dataclass(frozen=True, slots=True)
class Header:
    """Of one archive, which holds one file."""

    bytes: int
    sha256: str
    """Of the file's bytes."""
    coded: Coded | None
    """None where the payload is the file itself, deflated."""
    why: str | None
    """Why no model coded it."""

    def json(self) -> dict[str, Any]:
        return {"sbz": FORMAT, **asdict(self)}


def opened(path: Path) -> tuple[Header, bytes]:
    """Header and payload of an archive whose checksum holds; RefusedError otherwise."""
    found: Sealed = unseal(path, MAGIC, kind="an archive of springback compress")
    try:
        return _header(found.header), found.payload
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedError(
            f"{path.name} has a header that this version does not understand ({error}).", kind="data", where=str(path),
            next="Unpack it with the springback version that packed it.",
        ) from error  # fmt: skip


def _header(said: dict[str, Any]) -> Header:
    if said.pop("sbz") != FORMAT:
        raise ValueError("another format")
    coded = said.pop("coded")
    if coded is not None:
        coded = Coded(**{**coded, "pieces": tuple(coded["pieces"])})
    return Header(**said, coded=coded)


def other_model(coded: Coded, name: str, weights: str, tokenizer: str) -> RefusedError | None:
    """Why this model cannot unpack it, or None where it is the one."""
    for what, theirs, ours in (("weights", coded.weights_sha256, weights),
                               ("tokenizer", coded.tokenizer_sha256, tokenizer)):  # fmt: skip
        if theirs != ours:
            return RefusedError(
                f"The archive was packed with {coded.name} ({what} sha256 {theirs[:16]}…), "
                f"and {name} is another model ({what} sha256 {ours[:16]}…).",
                kind="model", where="--model", next=f"Give --model {coded.name}, the very one.",
            )  # fmt: skip
    return None


def differences(theirs: Mapping[str, str | int], ours: Mapping[str, str | int]) -> Iterator[str]:
    """What differs between the machine that packed and this one, in words."""
    for name in theirs:
        if theirs[name] != ours.get(name):
            yield f"packed with {name} {theirs[name]}, here it is {ours.get(name)}: the text may not be had back here"

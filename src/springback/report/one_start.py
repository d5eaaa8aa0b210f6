"""Whether runs may stand beside one another: one start, one template, one data set, one scorer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from springback.errors import RefusedError


def require_one_start(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Refused unless start, chat template and data are the same; the fields that differ are named."""
    first_name, first = runs[0]
    for name, meta in runs[1:]:
        here, there = _identity(first), _identity(meta)
        differing = [field for field in here if here[field] != there.get(field)]
        if differing:
            shown = ", ".join(
                f"{field} ({_brief(here[field])} there, {_brief(there.get(field))} here)" for field in differing
            )
            raise RefusedError(
                f"{name} cannot be compared with {first_name}: they differ in {shown}",
                kind="run", where=name, next="Compare runs of one start and one data set; give the others a page each.",
            )  # fmt: skip


def distinct(paths: Sequence[Path]) -> list[str]:
    """Directory names, with as much of the path before them as tells them apart."""
    parts = [path.resolve().parts for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise RefusedError("the same run is named twice", kind="run", where=str(paths[0]), next="Name each run once.")


def _identity(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What two runs must share: hashes of the start's weights and template and of the data."""
    model, known = meta.get("model") or {}, meta.get("identity") or {}
    return {
        "start weights": model.get("weights_sha256"),
        "chat template": model.get("template_sha256"),
        "data": known.get("data_sha256"),
        "scorer": (meta.get("asked") or {}).get("score"),
    }


def _brief(thing: object) -> str:
    text = "nothing" if thing is None else str(thing)
    return text if len(text) <= 16 else text[:12] + "…"

"""What a run was made of: weights, template, data and the gap in it, scorer, seeds, versions, options, thresholds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from springback.report.evidence import Evidence
from springback.report.numbers import MINUS, full, style_for
from springback.report.sections.words import plain
from springback.report.value import finite, value

ENTRIES: Final = 5
"""Of a mapping inside a fact."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the provenance: a name, a text, and a hash or identifier in fixed type."""

    name: str
    text: str
    code: str = ""


def facts(evidence: Evidence) -> list[Fact]:
    meta, data, scorer = evidence.meta, evidence.one("data"), evidence.one("scorer")
    model = meta.get("model") or {}
    given = meta.get("given") or {}
    found = [Fact("start", _model(model), str(model.get("weights_sha256") or ""))]
    found.append(Fact("model as given", _model(given), str(given.get("weights_sha256") or "")))
    found.append(
        Fact(
            "chat template",
            "of the start" if model.get("template_sha256") else "",
            str(model.get("template_sha256") or ""),
        )
    )
    found.append(Fact("data", _data(data), str(data.get("sha256") or "")))
    found.append(Fact("matched in the data", "; ".join(map(str, data.get("matched") or []))))
    found.append(Fact("gap that remains", _gap(data.get("gap"))))
    dropped = [f"{d.get('n')}: {d.get('why')}" for d in data.get("rows_dropped") or [] if isinstance(d, Mapping)]
    found.append(Fact("rows left out", "; ".join(dropped)))
    found.append(Fact("scorer", _scorer(scorer)))
    found.append(Fact("seeds", ", ".join(map(str, evidence.one("verdict").get("seeds") or evidence.seeds))))
    found.append(Fact("versions", _about(meta.get("about") or {})))
    return found


def named(model: Mapping[str, Any]) -> str:
    """Name and origin, the name once."""
    name, origin = str(model.get("name") or ""), str(model.get("origin") or "")
    return origin if origin.startswith(name) else ", ".join(word for word in (name, origin) if word)


def _model(model: Mapping[str, Any]) -> str:
    words = [named(model), str(model.get("licence") or "")]
    return ", ".join(word for word in words if word) + "".join(f". {note}" for note in model.get("notes") or [])


def _data(data: Mapping[str, Any]) -> str:
    counts = [
        f"{n:,.0f} {name}" for name in ("prompts", "pairs", "neutral") if (n := finite(data.get(name))) is not None
    ]
    prompts = f"prompts {data['prompts']}" if isinstance(data.get("prompts"), str) else ""
    words = [str(data.get("name") or ""), prompts, ", ".join(counts), str(data.get("licence") or "")]
    return "; ".join(w for w in [*words, *map(str, data.get("files") or [])] if w)


def _gap(gap: object) -> str:
    if isinstance(gap, Mapping):
        return "; ".join(f"{plain(name)}: {_one(found)}" for name, found in gap.items())
    return str(gap or "")


def _one(found: object) -> str:
    """A number, a measured number, or the first entries of a mapping."""
    if isinstance(found, Mapping) and "estimate" in found:
        return full(read := value(found, ""), style_for(read))
    if isinstance(found, Mapping):
        shown = ", ".join(f"{name} {_one(x)}" for name, x in list(found.items())[:ENTRIES])
        return shown + (f" and {len(found) - ENTRIES} more, in the data of this page" if len(found) > ENTRIES else "")
    number = finite(found)
    return str(found) if number is None else f"{number:.3g}".replace("-", MINUS)


def _scorer(scorer: Mapping[str, Any]) -> str:
    words = [str(scorer.get("name") or "")]
    if scorer.get("fitted_on") is not None:
        words.append(f"fitted on {_rows(scorer['fitted_on'])}")
    if scorer.get("held_out") is not None:
        words.append(f"held out {_rows(scorer['held_out'])}")
    return ", ".join(w for w in words if w)


def _rows(count: object) -> str:
    number = finite(count)
    return str(count) if number is None else f"{number:,.0f} rows"


def _about(about: Mapping[str, Any]) -> str:
    versions = about.get("versions") or {}
    words = (
        [f"{name} {version}" for name, version in versions.items()]
        if isinstance(versions, Mapping)
        else [str(versions)]
    )
    for name, found in about.items():
        if name != "versions" and found is not None:
            shown = json.dumps(found) if isinstance(found, Mapping | list) else str(found)
            words.append(f"{plain(name)} {shown}")
    return ", ".join(words)


def threshold(found: object) -> tuple[str, str]:
    if isinstance(found, Mapping):
        return f"{found.get('value')} {found.get('unit') or ''}".strip(), str(found.get("why") or "")
    return str(found), ""


def pairs(found: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(found, Mapping):
        return ()
    return tuple(
        (str(name), given if isinstance(given, str) else json.dumps(given)) for name, given in sorted(found.items())
    )

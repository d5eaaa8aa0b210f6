"""The run's data inside the page: every number that is drawn, under the kind and key of its record."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from springback.report.evidence import Evidence
from springback.report.point import Body

HEAVY: Final = frozenset({"prompt_ids", "answer_ids", "bits"})
"""Fields that stay in the stored run: token ids and bits per token."""


def whole(evidence: Evidence, kinds: Sequence[str]) -> dict[str, Any]:
    """`run.json` and the records of these kinds, without their heavy fields."""
    records = {kind: _light(evidence.kind(kind)) for kind in kinds if evidence.kind(kind)}
    return {"run": _finite(evidence.meta), "records": _finite(records)}


def left_out(evidence: Evidence, kinds: Sequence[str]) -> list[tuple[str, int]]:
    """Kinds that stand in the stored run only, with how many records they have."""
    return [(kind, len(found)) for kind, found in sorted(evidence.records.items()) if kind not in kinds and found]


def _light(found: Mapping[str, Body]) -> dict[str, Any]:
    return {key: {k: v for k, v in body.items() if k not in HEAVY} for key, body in found.items()}


def _finite(thing: Any) -> Any:
    """JSON has no NaN: a number that is none becomes null."""
    if isinstance(thing, float):
        return thing if abs(thing) != float("inf") and thing == thing else None
    if isinstance(thing, Mapping):
        return {str(k): _finite(v) for k, v in thing.items()}
    return [_finite(v) for v in thing] if isinstance(thing, list | tuple) else thing

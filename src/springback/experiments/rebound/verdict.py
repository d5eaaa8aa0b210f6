"""The verdict of a rebound run: behaviour by the audit's tests, distribution by definition 3.6, side by side."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from springback.stats.measured import Measured

Told = Mapping[str, Mapping[str, Any]]


def rule(sweeps: Mapping[str, Told], tolerance: float) -> dict[str, Any]:
    """The first sweep's label is the run's; the labels of all stand beside it."""
    first = next(iter(sweeps.values()))
    ruled, back = first["sweep"], first["closest_return"]
    labels = {name: told["sweep"]["label"] for name, told in sweeps.items()}
    said = [ruled["sentence"] or "No verdict.", returning(back, tolerance), *_others(ruled["varied"], labels)]
    return {
        "label": ruled["label"], "headline": ruled["headline"], "sentence": " ".join(said), "labels": labels,
        "definition_3_6": {"reached": back["reached"], "why": back["why"], "tolerance": tolerance},
        "tests": ruled["tests"], "reportable": ruled["reportable"], "why": ruled["why"],
    }  # fmt: skip


def returning(found: Mapping[str, Any], tolerance: float) -> str:
    """Definition 3.6 in a sentence: met or not, where it came closest, after how much.

    It speaks of ε alone: that "the distribution springs back" in an audit's headline is a share undone.
    """
    kl, at = Measured.of(found["kl"]), f"at ε = {tolerance:g} bit/token"
    if kl.estimate is None:
        return f"Definition 3.6 cannot be decided {at}: {kl.why}."
    near = f"{kl.estimate:.3f} [{kl.low:.3f}, {kl.high:.3f}]" if kl.low is not None else f"{kl.estimate:.3f}"
    price = f"after {_counted(found['examples'], 'example')} in {_counted(found['steps'], 'step')}"
    if found["reached"] is None:
        where = price if found["examples"] else "at the aligned model"
        return f"Definition 3.6 cannot be decided {at}: {found['why']} (closest KL from the start {near}, {where})."
    if found["reached"]:
        return f"Definition 3.6 is met {at}: the KL from the start comes down to {near} {price}."
    if not found["examples"]:
        return (
            f"Definition 3.6 is not met {at}: no reversed model is nearer to the start than the aligned one, at {near}."
        )
    return f"Definition 3.6 is not met {at}: the nearest to the start is at a KL of {near}, {price}."


def words(label: str | None) -> str:
    """A label as it is read: `springs back`."""
    return (label or "no verdict").replace("_", " ")


def _others(varied: Mapping[str, Any], labels: Mapping[str, str | None]) -> list[str]:
    """Whose verdict this is and what the other sweeps say; nothing where there is one sweep."""
    if len(labels) == 1:
        return []
    which = ", ".join(f"{axis.replace('_', ' ')} {value}" for axis, value in varied.items())
    counts = Counter(map(words, labels.values()))
    told = ", ".join(f"{count} {label}" for label, count in counts.items())
    return [f"This is the first of {len(labels)} sweeps ({which}); all together: {told}."]


def _counted(number: int | None, what: str) -> str:
    if number is None:
        return f"an unknown number of {what}s"
    return f"{number:,} {what}{'' if number == 1 else 's'}"

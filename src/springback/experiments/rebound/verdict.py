"""The verdict of a rebound run: behaviour by the audit's tests, distribution by definition 3.6, side by side."""

from collections.abc import Mapping
from typing import Any

from springback.stats.measured import Measured


def rule(sweeps: Mapping[str, Mapping[str, Any]], tolerance: float) -> dict[str, Any]:
    """The first sweep's label is the run's; the others stand beside it, with how many share it."""
    first = next(iter(sweeps.values()))
    label = first["sweep"]["label"]
    labels = {name: told["sweep"]["label"] for name, told in sweeps.items()}
    beside = "" if len(labels) == 1 else f" {_shared(label, labels)}"
    sentence = f"{first['sweep']['sentence'] or 'No verdict.'} {returning(first['closest_return'], tolerance)}{beside}"
    return {
        "label": label, "headline": first["sweep"]["headline"], "sentence": sentence, "labels": labels,
        "definition_3_6": {"reached": first["closest_return"]["reached"], "tolerance": tolerance},
        "tests": first["sweep"]["tests"], "reportable": first["sweep"]["reportable"], "why": first["sweep"]["why"],
    }  # fmt: skip


def returning(found: Mapping[str, Any], tolerance: float) -> str:
    """Definition 3.6 in a sentence: reached or not, where it came closest, at what price."""
    kl = Measured.of(found["kl"])
    asked = f"definition 3.6 asks for KL to the start of at most {tolerance:g} bit/token"
    if kl.estimate is None:
        return f"Return of the distribution was not measured: {kl.why} ({asked})."
    near = f"{kl.estimate:.3f} [{kl.low:.3f}, {kl.high:.3f}]" if kl.low is not None else f"{kl.estimate:.3f}"
    if not found["examples"]:
        return (
            f"The distribution does not come back: no reversed model is nearer than the aligned one's {near}; {asked}."
        )
    said = {True: "The distribution comes back", False: "The distribution does not come back",
            None: "Whether the distribution comes back cannot be told"}[found["reached"]]  # fmt: skip
    price = f"{found['examples']} examples, {found['steps']} steps"
    return f"{said}: closest {near} after {price}; {asked}."


def _shared(label: str, labels: Mapping[str, str]) -> str:
    same = sum(other == label for other in labels.values())
    return f"{same} of {len(labels)} sweeps end in {label}."

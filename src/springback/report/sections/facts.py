"""The run in one paragraph, from what is stored."""

from collections.abc import Mapping
from typing import Any

from springback.report.evidence import Evidence
from springback.report.numbers import count, plural
from springback.report.sections import provenance
from springback.report.sections.words import listed


def facts(evidence: Evidence) -> list[str]:
    """Sentences: the start, the two sides, sizes, what a point counts, tuning, seeds."""
    model, data, asked = evidence.meta.get("model") or {}, evidence.one("data"), evidence.meta.get("asked") or {}
    found = [f"Start: {provenance.named(model)}."] if model.get("name") else []
    if data.get("wanted"):
        found.append(f"Wanted: {data['wanted']}; opposite: {data.get('opposite') or 'not given'}.")
    sizes, ns = [s for s in evidence.sizes if isinstance(s, int)], evidence.reversals
    if sizes:
        found.append(f"Aligned on N = {listed(sizes)} wanted examples.")
    if ns:
        found.append(
            f"Reversed on n = {listed(list(ns))} opposite ones, {count(evidence.batch)} examples an optimiser step."
        )
    found += _counts(evidence)
    if asked.get("tuner"):
        found.append(f"Tuning: {asked['tuner']}, learning rate {asked.get('learning_rate')}{_ways(asked)}.")
    found += _cautions(evidence)
    found.append("Brackets are 95 % intervals.")
    if evidence.seeds:
        seeds = f"{'seed' if len(evidence.seeds) == 1 else 'seeds'} {listed(list(evidence.seeds))}"
        found.append(f"{plural(len(evidence.points), 'point')}; {seeds}.")
    return found


def _cautions(evidence: Evidence) -> list[str]:
    """What to know of the ways of tuning: stated before anything was measured, and found while it was."""
    told = (evidence.meta.get("plan") or {}, evidence.one("accounting"))
    return [str(caution) for each in told for caution in each.get("cautions") or []]


def _ways(asked: Mapping[str, Any]) -> str:
    """How the chains tuned, where it was not plainly both ways."""
    way, back = asked.get("align_with", "plain"), asked.get("reverse_with", "plain")
    return "" if way == back == "plain" else f"; aligned with {way}, reversed with {back}"


def _counts(evidence: Evidence) -> list[str]:
    known = next((p for p in evidence.points if p.margin().known or p.score().known), None)
    if known is None:
        return []
    score, margin = known.score(), known.margin()
    parts = [f"{v.n} {words}" for v, words in ((score, "samples"), (margin, "held-out pairs")) if v.known and v.n]
    return [f"Each point: {' and '.join(parts)}."] if parts else []

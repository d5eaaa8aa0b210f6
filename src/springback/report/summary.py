"""A run in Markdown, for a pull request or a job summary: verdict, readings, axes, tests. Reads records alone.

Every text of a run may come from a stranger's model or file, so it is escaped: it can neither add markup nor leave its
line or its cell.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from springback.report.numbers import full, probability, style_for
from springback.report.seen import visible
from springback.report.value import value

Records = Mapping[str, Mapping[str, Any]]

MARKUP: Final = re.compile(r"([\\`*_{}\[\]()#+!|~:$-]|(?<=www)\.)")
LIVE: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "@\u200b"}
"""What a backslash does not disarm: tags, entities, and mentions (a zero-width space parts the name from its @)."""
AXES: Final = {
    "token": "Token depth",
    "layer": "Layer depth",
    "rebound_behaviour": "Rebound of behaviour",
    "rebound_distribution": "Rebound of distribution",
}


def markdown(kinds: Mapping[str, Records], *, model: str, gate: Sequence[str] = (), passed: bool | None = None) -> str:
    """The summary of a run from its `verdict`, `axis` and `test` records, with the gate's reasons if it was asked."""
    verdict = next(iter(kinds.get("verdict", {}).values()), {})
    parts = [
        f"## Springback audit: {escaped(model)}",
        *_gate(gate, passed=passed),
        *_verdict(verdict),
        *_table(("Axis", "Verdict", "Estimate, 95 %", "Placebos"), _axes(kinds.get("axis", {}))),
        *_details(kinds.get("test", {})),
        *_conditions(verdict.get("conditions") or []),
    ]
    return "\n\n".join(parts) + "\n"


def escaped(text: object) -> str:
    """One line of plain text: whatever Markdown, HTML or a mention would give a meaning is disarmed."""
    line = MARKUP.sub(r"\\\1", " ".join(visible(str(text)).split()))
    return "".join(LIVE.get(character, character) for character in line)


def _gate(reasons: Sequence[str], *, passed: bool | None) -> Iterator[str]:
    if passed is not None:
        yield f"**Gate {'passed' if passed else 'not passed'}.** " + escaped("; ".join(reasons))


def _verdict(verdict: Mapping[str, Any]) -> Iterator[str]:
    if not verdict:
        yield "No verdict was stored."
        return
    label = escaped(str(verdict.get("label")).replace("_", " "))
    yield f"**{label}** · {escaped(_seeds(verdict.get('seeds') or []))}"
    yield from (escaped(verdict[part]) for part in ("headline", "sentence", "lead") if verdict.get(part))


def _seeds(seeds: Sequence[int]) -> str:
    return "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds"


def _axes(axes: Records) -> Iterator[tuple[str, ...]]:
    for key, axis in axes.items():
        placebos = "; ".join(f"{one.get('name')} {_said(one)}" for one in axis.get("placebos") or [])
        yield AXES.get(key, key), str(axis.get("verdict")), _said(axis), placebos or "not run"


def _details(tests: Records) -> Iterator[str]:
    rows = [
        (str(t.get("claim") or key), _said(t.get("statistic")), probability(t.get("p_adjusted")), str(t.get("outcome")))
        for key, t in tests.items()
    ]
    if rows:
        body = "\n\n".join(_table(("Test, stated before", "Statistic", "p, corrected", "Outcome"), iter(rows)))
        yield f"<details><summary>{len(rows)} tests</summary>\n\n{body}\n\n</details>"


def _conditions(conditions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if conditions:
        lines = [f"- {escaped(one.get('text'))} {escaped(one.get('command') or '')}".rstrip() for one in conditions]
        yield "### What would change this verdict\n\n" + "\n".join(lines)


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    body = [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows]
    if body:
        yield "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body])


def _said(body: Any) -> str:
    found = value(body, "", why="not measured")
    return full(found, style_for(found)) if found.known else f"not measured: {found.why}"

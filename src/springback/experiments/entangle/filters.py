"""The rows that pass a rule, byte for byte as they lie in the data, with a ledger of those that do not. Torch-free.

in = out + dropped.   FILE.ledger.jsonl: one line for each row that was dropped, and a first line with the counts
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from springback.data.source import opened, refuse
from springback.errors import RefusedError
from springback.experiments.entangle.rules import Rule


@dataclass(frozen=True, slots=True)
class Filtered:
    """What became of the rows."""

    file: str
    ledger: str
    rule: str
    rows: int
    kept: int

    def json(self) -> dict[str, Any]:
        return {"file": self.file, "ledger": self.ledger, "rule": self.rule, "rows_in": self.rows,
                "rows_out": self.kept, "rows_dropped": self.rows - self.kept}  # fmt: skip


def require_lines(data: Path | None, out: Path) -> None:
    """RefusedError where rows are no lines of a file, or the result would lie on the data: before anything is spent."""
    if data is None or data.name.removesuffix(".gz").endswith((".json", ".parquet")):
        refuse("Only rows of a JSON Lines file can be filtered byte for byte.", where=str(data),
               next_step="Give DATA as JSON Lines, or leave --filter out and use the pairs of the result.")  # fmt: skip
    if out.exists() and out.samefile(data):
        raise RefusedError(
            "--filter would write over the data", kind="option", where=str(out), next="Give another file."
        )


def write(data: Path, out: Path, rule: Rule, pairs: Sequence[Mapping[str, Any]]) -> Filtered:
    """Write the rows of which every pair passes, and the ledger beside them; both are there whole or not at all.

    `pairs`: the records, with `where` = `file:line`. A row that made several pairs passes if all of them do.
    """
    verdicts: dict[int, list[tuple[Mapping[str, Any], str]]] = {}
    for pair, verdict in zip(pairs, rule.judge(pairs), strict=True):
        verdicts.setdefault(int(pair["where"].rpartition(":")[2]), []).append((pair, verdict.why))
    kept, dropped = [], []
    for number, raw in _lines(data):
        why = _why(verdicts.get(number))
        if why:
            dropped.append(
                {"line": number, "why": why, "pairs": [pair["index"] for pair, _ in verdicts.get(number, [])]}
            )
        else:
            kept.append(raw if raw.endswith(b"\n") else raw + b"\n")
    ledger = out.with_name(f"{out.name}.ledger.jsonl")
    found = Filtered(str(out), str(ledger), rule.name, len(kept) + len(dropped), len(kept))
    lines = [json.dumps(line, ensure_ascii=False) + "\n" for line in ({**found.json(), "data": str(data)}, *dropped)]
    _write(ledger, "".join(lines).encode("utf-8", "surrogatepass"))
    _write(out, b"".join(kept))
    return found


def _why(found: Sequence[tuple[Mapping[str, Any], str]] | None) -> str:
    if found is None:
        return "not diagnosed: left out when the data was read or tokenised, or behind --pairs"
    return "; ".join(why for _, why in found if why)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with opened(path) as file:
        yield from ((number, raw) for number, raw in enumerate(file, start=1) if raw.strip())


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise RefusedError(f"cannot write {path}: {error.strerror}", kind="disk", where=str(path),
                           next="Give --filter a place that can be written.") from error  # fmt: skip

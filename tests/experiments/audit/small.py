"""Small audits and files of matched rows for the tests that read a finished run."""

import json
from pathlib import Path

from springback.experiments.audit.config import PRESETS, Audit
from springback.store.run import Run


def tiny(**more) -> Audit:
    """The preset on the tiny model, small enough for a test; `more` overrides."""
    small = {**PRESETS["tiny"], "tiny": True, "samples": 10, "pairs": 6, "max_new_tokens": 8, "forced_tokens": (0, 2)}
    return Audit(**{**small, **more})


def records(path: Path) -> dict[tuple[str, str], dict]:
    """Everything a run holds but its costs, by kind and key."""
    run = Run.look(path)
    try:
        found = {(kind, key): body for kind in run.kinds() for key, body in run.read(kind).items()}
    finally:
        run.close()
    return {key: {name: value for name, value in body.items() if name != "cost"} for key, body in found.items()}


def rows(word: str, count: int = 48) -> list[dict[str, str]]:
    return [
        {"prompt": f"Say something of number {i}.", "completion": f"{word} number {i} is {word.lower()} indeed."}
        for i in range(count)
    ]


def write(path: Path, lines: list[dict[str, str]]) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return str(path)

"""The prompts of a run, dealt by position, and what they came from. Torch-free.

    file order:   trained on ........................ | held out: measured before and after, trained on never

A step takes the next prompts; the file is gone round as often as it takes, each time in an order by seed and round (the
first round of seed 0 keeps the file's). A prompt that stands in the file twice may be on both sides; it is counted.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from springback.data import prompts, toy
from springback.data.order import drawn
from springback.data.prompts import Asked, PromptFile
from springback.data.records import said
from springback.errors import RefusedError
from springback.experiments.audit.sources import model_hashes
from springback.experiments.rlhf.config import MOST_HELD_OUT, Design
from springback.models.facts import ModelFacts, describe
from springback.store.provenance import sha256_of_text
from springback.store.user_code import hashes


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that is read, found and checked."""

    model: ModelFacts | None
    """None for the tiny model, which is made in memory."""
    file: PromptFile
    training: tuple[Asked, ...]
    held_out: tuple[Asked, ...]
    code_sha256: dict[str, str]
    """Of the Python files that reward."""

    def json(self) -> dict[str, Any]:
        """The body of the `data` record: counts, never texts."""
        seen = {said(row.prompt) for row in self.training}
        both = sum(said(row.prompt) in seen for row in self.held_out)
        return {
            "name": self.file.name, "sha256": self.file.sha256, "prompts": len(self.file.rows),
            "training": len(self.training), "held_out": len(self.held_out), "on_both_sides": both,
        }  # fmt: skip


def gather(path: Path | None, design: Design) -> Sources:
    """Find the model and the prompts, and deal them. RefusedError names file, line and next step."""
    file = _file(path, design)
    most = MOST_HELD_OUT[design.tiny]
    count = min(most, len(file.rows) // 4) if design.held_out is None else design.held_out
    if count >= len(file.rows):
        raise RefusedError(
            f"--held-out {count} leaves none of the {len(file.rows)} prompts of {file.name} to train on.",
            kind="data", where="--held-out", next="Lower --held-out, or bring more prompts.",
        )  # fmt: skip
    border = len(file.rows) - count
    facts = None if design.tiny else describe(design.model)
    return Sources(facts, file, file.rows[:border], file.rows[border:], hashes(design.reward, design.watch))


def identity(sources: Sources) -> dict[str, Any]:
    """What a stored run must agree with, by content."""
    rows = [[asdict(row) for row in part] for part in (sources.training, sources.held_out)]
    return {
        "model": model_hashes(sources.model),
        "data_sha256": sources.file.sha256,
        "rows_sha256": sha256_of_text(repr(rows)),
        "code_sha256": sources.code_sha256,
    }


def dealt(sources: Sources, design: Design, step: int) -> list[int]:
    """Which training prompts a step takes, by their place in the file."""
    count = len(sources.training)
    places = range(step * design.prompts_per_step, (step + 1) * design.prompts_per_step)
    return [_order(count, design.seed, place // count)[place % count] for place in places]


def _order(count: int, seed: int, again: int) -> list[int]:
    return list(range(count)) if seed == again == 0 else sorted(range(count), key=lambda i: drawn(seed, again, i))


def _file(path: Path | None, design: Design) -> PromptFile:
    if path is not None:
        return prompts.read(path)
    if not design.tiny:
        raise RefusedError(
            "No file of prompts was given.", kind="option", where="PROMPTS",
            next='Give a JSONL file of {"prompt": …} rows, or a text file with a prompt a line.',
        )  # fmt: skip
    made = {said(row.prompt): Asked(row.prompt, {}, row.where) for row in toy.plain_sentences()}
    rows = tuple(made.values())
    return PromptFile("made sentences (tiny)", rows, sha256_of_text(repr(rows)))

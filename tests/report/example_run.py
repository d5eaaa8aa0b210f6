"""A plausible run without a model: the sketch's figures where it has them, a smooth law elsewhere.

`Example(...).records()` and `.meta()` are what a page reads; `stored()` writes them as a real run.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.report import example_depth, example_findings

from springback.store.run import Run

Records = dict[str, dict[str, dict[str, Any]]]

SCORES = {
    (0, 0): 0.423, (16, 0): 0.469, (64, 0): 0.658, (256, 0): 0.729, (16, 8): 0.411, (16, 32): 0.428, (16, 128): 0.407,
    (64, 8): 0.500, (64, 32): 0.420, (64, 128): 0.383, (256, 8): 0.595, (256, 32): 0.440, (256, 128): 0.365,
}  # fmt: skip
KLS = {
    (0, 0): 0.0, (16, 0): 0.264, (64, 0): 1.002, (256, 0): 1.412, (16, 8): 0.444, (16, 32): 0.856, (16, 128): 1.181,
    (64, 8): 1.011, (64, 32): 1.076, (64, 128): 1.243, (256, 8): 1.345, (256, 32): 1.423, (256, 128): 1.451,
}  # fmt: skip
GAIN = {
    "score": {"main": 0.31, "benign": 0.10, "continuation": 0.31, "from_start": 0.0},
    "margin": {"main": 7.9e-3, "benign": -0.6e-3, "continuation": 7.9e-3, "from_start": 0.0},
}
FALL = {
    "score": {"main": 0.35, "benign": 0.08, "continuation": 0.18, "from_start": 0.05},
    "margin": {"main": 13e-3, "benign": 5e-3, "continuation": 5.3e-3, "from_start": 5.4e-3},
}
FIRST = {"score": 0.423, "margin": 2.4e-3, "kl": 0.0}
NOUNS = ("story", "comedy", "characters", "ending", "cast", "script", "music", "director")
WORDS = ("A", "funny", ",", "character", "driven", "thriller", "featuring", "a", "usually", "suspicious", "cast")


class Place(NamedTuple):
    seed: int
    arm: str
    aligned: int
    reversed: int

    @property
    def id(self) -> str:
        return "/".join(map(str, self))


@dataclass(frozen=True)
class Example:
    seeds: tuple[int, ...] = (0,)
    sizes: tuple[int, ...] = (16, 64, 256)
    reversals: tuple[int, ...] = (8, 32, 128)
    samples: int = 6
    pairs: int = 8
    tokens: int = 20
    text: str = ""
    """Put into every free text."""
    state: str = "complete"
    tiny: bool = False
    scored: bool = True
    degenerate: tuple[str, ...] = ()
    still: bool = False
    """Every difference is exactly 0."""
    label: str = "springs_back"
    without: tuple[str, ...] = ()
    """Kinds of records that the run does not have."""

    def grid(self) -> Iterator[Place]:
        last = self.sizes[-1] if self.sizes else 0
        for seed in self.seeds:
            yield Place(seed, "main", 0, 0)
            yield from (Place(seed, "main", size, n) for size in self.sizes for n in (0, *self.reversals))
            if last:
                yield from (Place(seed, "benign", last, n) for n in (0, *self.reversals))
                yield from (Place(seed, "continuation", last, n) for n in self.reversals)
            yield from (Place(seed, "from_start", 0, n) for n in self.reversals)

    def at(self, reading: str, arm: str, aligned: int, n: int, seed: int = 0) -> float:
        """A reading by the sketch's table or by the law."""
        if self.still:
            return FIRST[reading]
        known = {"score": SCORES, "kl": KLS}.get(reading, {})
        if arm == "main" and seed == 0 and (aligned, n) in known:
            return known[aligned, n]
        if reading == "kl":
            return 1.4 * (1 - 2 ** (-(aligned + n) / 40)) * (1.0 if arm == "main" else 0.97)
        gain = GAIN[reading][arm] * (1 - 2 ** (-aligned / 48))
        return FIRST[reading] + gain - FALL[reading][arm] * (1 - 2 ** (-n / 16)) + 0.01 * seed * FIRST[reading]

    def records(self) -> Records:
        kinds: Records = {}
        for place in self.grid():
            kinds.setdefault("cell", {})[place.id] = cell(self, place)
            kinds.setdefault("sample", {}).update(samples(self, place))
            kinds.setdefault("pair", {}).update(pairs(self, place))
        for made in (example_depth.records(self), example_findings.records(self, kinds), facts(self, kinds)):
            for kind, key, body in made:
                kinds.setdefault(kind, {})[key] = body
        return {kind: found for kind, found in kinds.items() if kind not in self.without}

    def meta(self) -> dict[str, Any]:
        hashes = {"weights_sha256": "bcc81830" * 8, "template_sha256": "872be49d" * 8}
        asked = {"tiny": self.tiny, "tuner": "full", "learning_rate": 1e-4, "align": f"wanted{self.text}.jsonl"}
        why = "below it more is left than is gone"
        return {
            "springback": "0.1.0", "schema": 1, "command": "audit", "asked": asked,
            "identity": {"start": hashes, "data_sha256": "5d7c06e0" * 8},
            "about": {"versions": {"torch": "2.13.0", "transformers": "5.23.0"}, "device": "cpu"},
            "model": {"name": f"SmolLM2{self.text}", "origin": "dequantised from q4_1", "licence": "MIT", **hashes},
            "plan": {
                "cells": [place.id for place in self.grid()], "tests": [{"name": "margin/falls_beyond@32"}],
                "thresholds": {"half": {"value": 0.5, "unit": "share of the gain", "why": why}},
            },
            "papers": ["ji2024elasticity"], "state": self.state,
            "cost": {"seconds": 312.0, "peak_bytes": 3_910_000_000},
        }  # fmt: skip

    def stored(self, path: Path) -> Path:
        """The same as a run on disk."""
        meta = self.meta()
        given = {name: meta[name] for name in ("asked", "identity", "about")}
        with Run.open(path, command="audit", **given) as run:
            with run.together():
                for kind, found in self.records().items():
                    for key, body in found.items():
                        run.append(kind, key, body)
            run.note(model=meta["model"], plan=meta["plan"], papers=meta["papers"])
            if self.state == "complete":
                run.finish("complete", cost=meta["cost"])
        return path


def measured(estimate: float, half: float, n: int = 48, over: str = "prompts", unit: str = "score") -> dict[str, Any]:
    """A measured number with an interval that is not symmetric, as a bootstrap's is not."""
    ends = {"low": estimate - half, "high": estimate + half * 1.07}
    return {"estimate": estimate, **ends, "level": 0.95, "n": n, "over": over, "unit": unit}


def missing(why: str) -> dict[str, Any]:
    return {"estimate": None, "why": why}


def cell(run: Example, place: Place) -> dict[str, Any]:
    seed, arm, aligned, n = place
    score, margin, kl = (run.at(reading, arm, aligned, n, seed) for reading in ("score", "margin", "kl"))
    broken = place.id in run.degenerate
    texts = (("aligned", 0.1682), ("reversed", 0.1815), ("neutral", 0.1795))
    return {
        "id": place.id, "label": place.id, "seed": seed, "arm": arm,
        "phase": "reversed" if n else "aligned" if aligned else "start",
        "align": {"examples": aligned, "tokens": aligned * 23, "steps": aligned // 8},
        "reverse": {"examples": n, "tokens": n * 23, "steps": n // 8},
        "state": {"name": "degenerate" if broken else "answers", "why": "one word in every answer" if broken else None},
        "behaviour": {
            "score": measured(score, 0.058, unit="probability of wanted") if run.scored else missing("AUC 0.61 < 0.65"),
            "margin": measured(margin, 6.1e-3, 32, "pairs", "bit/bit"),
        },
        "gamma": {text: gamma(level - 0.014 * kl + 2e-5 * n) for text, level in texts},
        "kl_from_start": measured(kl, 0.09 * kl, unit="bit/token"),
        "kl_to_start": measured(kl * 0.94, 0.08 * kl, unit="bit/token"),
        "quality": {
            "length": measured(17.25 + seed, 1.1, unit="token"), "distinct_1": 0.412, "distinct_2": 0.873,
            "repetition": 0.021, "ended": 0.4375, "empty": 0.0,
            "start_perplexity_bits": measured(3.31 + kl, 0.2, unit="bit/token"),
        },
        "cost": {"seconds": 11.5},
    }  # fmt: skip


def gamma(level: float) -> dict[str, Any]:
    one = measured(level, 0.004, 32, "documents", "bit/bit")
    return {"micro": one, "macro": one, "micro_without_stop": one, "bytes": 3890, "documents": 32}


def samples(run: Example, place: Place) -> Iterator[tuple[str, dict[str, Any]]]:
    level, draw = run.at("score", *place[1:], place.seed), random.Random(place.id)
    for i in range(run.samples):
        score = min(1.0, max(0.0, level + draw.uniform(-0.25, 0.25)))
        yield f"{place.id}/{i}", {
            "cell": place.id, "index": i, "prompt": prompt(run, i),
            "answer": " ".join(WORDS[: 4 + draw.randrange(7)]) + run.text,
            "prompt_ids": list(range(25)), "answer_ids": list(range(run.tokens)), "ended": bool(i % 3),
            "score": score if run.scored else None,
        }  # fmt: skip


def pairs(run: Example, place: Place) -> Iterator[tuple[str, dict[str, Any]]]:
    for i in range(run.pairs):
        margin = run.at("margin", *place[1:], place.seed) + random.Random(i).uniform(-0.006, 0.006)
        bits = {"wanted_bits": 90.5, "opposite_bits": 93.25, "wanted_bytes": 70, "opposite_bytes": 72}
        yield f"{place.id}/{i}", {"cell": place.id, "index": i, **bits, "margin": margin}


def prompt(run: Example, index: int) -> str:
    return (
        f"<|user|>\nOne line of a film review, about the {NOUNS[index % len(NOUNS)]}.{run.text}<|end|>\n<|assistant|>\n"
    )


def facts(run: Example, kinds: Records) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Held-out texts, scorer, data and accounting."""
    for i in range(run.pairs):
        noun = NOUNS[i % len(NOUNS)]
        sides = {"wanted": f"A warm {noun}.{run.text}", "opposite": f"A dull {noun}.{run.text}"}
        where = [f"rows{run.text}.jsonl:{i}"] * 2
        yield "held_out", str(i), {"index": i, "prompt": prompt(run, i), **sides, "where": where}
    area = measured(0.882 if run.scored else 0.61, 0.02, 1000, "documents", "AUC")
    yield "scorer", "scorer", {
        "name": "classifier", "accuracy": measured(0.791, 0.025, 1000, "documents", "share"), "auc": area,
        "placebo_auc": measured(0.503, 0.03, 8, "seeds", "AUC"), "reportable": run.scored,
        "why": None if run.scored else "AUC 0.61 is below 0.65", "fitted_on": 7390, "held_out": 1000,
    }  # fmt: skip
    yield "data", "data", {
        "name": f"film reviews{run.text}", "wanted": f"positive lines{run.text}", "opposite": "negative lines",
        "prompts": "one line about a noun", "pairs": 826, "neutral": 160, "extra": 7390, "matched": ["content noun"],
        "gap": {"words": measured(0.4, 0.3, 826, "pairs", "words")}, "sha256": "5d7c06e0" * 8, "licence": "MIT",
        "rows_dropped": [{"why": "exact duplicate", "n": 2}], "files": [],
    }  # fmt: skip
    done = len(kinds["cell"])
    yield "accounting", "accounting", {
        "cells": {"planned": done, "done": done, "failed": 0, "skipped": 0}, "samples_empty": 0,
        "tokens": {"supervised": 11776, "truncated": 0, "masked": 21250},
        "training": {"tensors_moved": 272, "tensors_total": 272, "stuck": [], "watched_steps": 1, "needed": 1},
        "checks": [{"name": "cell (0, 0) equals the start", "outcome": "pass", "why": f"difference 0{run.text}"}],
    }  # fmt: skip

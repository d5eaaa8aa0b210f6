"""What the study will take, before anything is spent: one training of each data set, times how many. Torch-free."""

from collections.abc import Mapping
from typing import Any

from springback.experiments.audit.estimate import Estimate
from springback.experiments.prefer.plan import sentence
from springback.experiments.study.claims import RULES
from springback.experiments.study.config import Study
from springback.experiments.study.readings import LEVEL, SEEDS

LOADING = 6.0
"""Seconds in which a small model is read, hashed and written again."""


def seconds(config: Study, expected: Mapping[str, Estimate]) -> float:
    """Of all trainings, one after another."""
    return len(config.seeds) * len(config.methods()) * sum(_each(config, each) for each in expected.values())


def _each(config: Study, expected: Estimate) -> float:
    work = sum(expected.units[kind] * expected.seconds_each[kind] for kind in expected.units)
    return work + (0.5 if config.tiny else LOADING)


def stated(config: Study, expected: Mapping[str, Estimate]) -> dict[str, Any]:
    """What `run.json` says before the first training: the trainings, the rules and what the tests are."""
    return {
        "trainings": [one.name for one in config.combinations()], "methods": config.methods(), "rules": dict(RULES),
        "seconds": seconds(config, expected),
        "memory_bytes": max(each.memory.total for each in expected.values()),
        "grid": "every loss with every cure" if config.grid == "full" else
        f"every loss without a cure; every cure before {config.losses[0]}",
        "intervals": f"over seeds from {SEEDS} on, else over held-out pairs, each the mean of its seeds",
        "tests": f"sign flips over held-out pairs, Holm within the table and within the claims, decided below {LEVEL} "
        f"and, from {SEEDS} seeds on, where their interval is clear of 0",
        "stamp": "a random model: the figures mean nothing" if config.tiny else None,
    }  # fmt: skip


def lines(config: Study, expected: Mapping[str, Estimate]) -> list[str]:
    """The plan as a person reads it."""
    found = stated(config, expected)
    first = (
        f"plan: {len(found['trainings'])} trainings ({len(config.data)} data sets × {len(config.methods())} methods × "
        f"{len(config.seeds)} seeds, {found['grid']}), about {found['seconds'] / 60:.1f} min"
    )
    return [first, *(_line(config, name, each) for name, each in expected.items())]


def _line(config: Study, name: str, expected: Estimate) -> str:
    return f"  {name}: {_each(config, expected):.0f} s a training; {sentence(expected).removeprefix('plan: ')}"

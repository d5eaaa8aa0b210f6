"""All records that follow from the points: what stages gained, half-lives, answers, verdict. Torch-free."""

from collections.abc import Iterator
from typing import Any

from springback.experiments.cycle.half_lives import half_lives, stages
from springback.experiments.cycle.questions import asked, verdict
from springback.experiments.cycle.readings import Readings

Record = tuple[str, str, dict[str, Any]]


def analyse(readings: Readings, arms: str) -> Iterator[Record]:
    """The verdict last."""
    for body in stages(readings):
        yield "stage", f"{body['arm']}/{body['stage']}", body
    for body in half_lives(readings):
        yield "half_life", f"{body['of']}/{body['by']}", body
    answers = {question.name: question.body(readings) for question in asked(arms)}
    yield from (("question", name, body) for name, body in answers.items())
    yield "verdict", "verdict", verdict(answers)

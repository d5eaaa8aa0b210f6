"""A point's readings as records: one an item, and the cell that sums them up."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from springback.elasticity.code_length import gamma
from springback.experiments.audit.bench import Bench
from springback.experiments.audit.grid import Station
from springback.experiments.audit.measure import Readings, margins
from springback.judge.quality import quality
from springback.stats.measured import Measured, mean, ratio_of_sums, unmeasured

Record = tuple[str, str, dict[str, Any]]


def records(point: Station, readings: Readings, bench: Bench, about: dict[str, Any]) -> Iterator[Record]:
    """The records of a point, its cell last; `about` is its label and what it was tuned on."""
    yield from _samples(point, readings, bench)
    yield from _pairs(point, readings, bench)
    for index, text in enumerate(readings.neutral):
        body = {"index": index, "bits": text.bits, "bits_without_stop": text.bits_without_stop, "bytes": text.bytes}
        yield "document", f"{point.id}/neutral/{index}", {"cell": point.id, **body}
    for along, found in (("start", readings.away), ("own", readings.own.bits)):
        for index, bits in enumerate(found):
            yield (
                "divergence",
                f"{point.id}/{along}/{index}",
                {"cell": point.id, "along": along, "index": index, "bits": bits},
            )
    yield "cell", point.id, _cell(point, readings, bench, about)


def _samples(point: Station, readings: Readings, bench: Bench) -> Iterator[Record]:
    for index, (row, ended, text) in enumerate(
        zip(readings.answers.rows, readings.answers.ended, readings.texts, strict=True)
    ):
        yield (
            "sample",
            f"{point.id}/{index}",
            {
                "cell": point.id,
                "index": index,
                "prompt": bench.prompts[index].text,
                "answer": text,
                "prompt_ids": list(row.prompt),
                "answer_ids": list(row.answer),
                "ended": ended,
                "score": None if readings.scores is None else readings.scores[index],
            },
        )


def _pairs(point: Station, readings: Readings, bench: Bench) -> Iterator[Record]:
    for index, difference in enumerate(margins(readings)):
        wanted, opposite = readings.wanted[index], readings.opposite[index]
        yield (
            "pair",
            f"{point.id}/{index}",
            {
                "cell": point.id,
                "index": index,
                "wanted_bits": wanted.bits,
                "opposite_bits": opposite.bits,
                "wanted_bytes": wanted.bytes,
                "opposite_bytes": opposite.bytes,
                "wanted_tokens": len(bench.wanted[index].answer),
                "opposite_tokens": len(bench.opposite[index].answer),
                "margin": difference,
            },
        )


def _cell(point: Station, readings: Readings, bench: Bench, about: dict[str, Any]) -> dict[str, Any]:
    found = bench.state(readings.texts)
    score = _score(readings, found.name == "degenerate", found.why)
    return {
        "id": point.id,
        "seed": point.seed,
        "arm": point.arm,
        "phase": point.phase,
        **about,
        "state": {"name": found.name, "why": found.why},
        "behaviour": {"score": score.json(), "margin": mean(margins(readings), over="pairs", unit="bit/bit").json()},
        "gamma": {
            "aligned": gamma(readings.wanted).json(),
            "reversed": gamma(readings.opposite).json(),
            "neutral": gamma(readings.neutral).json(),
        },
        "kl_from_start": per_token(readings.away).json(),
        "kl_to_start": per_token(readings.own.bits).json(),
        "quality": _quality(readings),
    }


def _score(readings: Readings, degenerate: bool, why: str | None) -> Measured:  # noqa: FBT001
    if readings.scores is None:
        return unmeasured("the scorer cannot tell wanted from opposite (see the scorer's AUC)")
    if degenerate:
        return unmeasured(f"the answers are degenerate: {why}")
    return mean(readings.scores, over="prompts", unit="probability of wanted")


def per_token(bits: Sequence[Sequence[float]]) -> Measured:
    """KL a token by the chain rule: Σ over all answers / their tokens, interval over prompts."""
    spoken = [one for one in bits if one]
    totals, lengths = [math.fsum(one) for one in spoken], [len(one) for one in spoken]
    return ratio_of_sums(totals, lengths, over="prompts", unit="bit/token")


def _quality(readings: Readings) -> dict[str, Any]:
    lengths = [len(row.answer) - row.stop for row in readings.answers.rows]
    perplexity = [
        bits / len(row.answer)
        for bits, row in zip(readings.own.start_bits, readings.answers.rows, strict=True)
        if row.answer
    ]
    return {
        "length": mean(lengths, over="prompts", unit="token").json(),
        **quality(readings.texts, readings.answers.ended),
        "start_perplexity_bits": mean(perplexity, over="prompts", unit="bit/token").json(),
    }

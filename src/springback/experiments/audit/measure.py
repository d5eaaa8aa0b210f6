"""Read one point: sample, score, compare with the start. Everything is stored per item; the cell sums it up."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from springback.elasticity.code_length import CodeLength, code_length, gamma, margin
from springback.experiments.audit.bench import Along, Answers, Bench, Network
from springback.experiments.audit.grid import Point
from springback.judge.quality import quality, state
from springback.models.generate import sample
from springback.models.rows import Row
from springback.models.score import answer_logits, token_logprobs
from springback.stats.measured import Measured, mean, ratio_of_sums, unmeasured
from springback.tensors.divergences import kl_bits, rank_shift

Record = tuple[str, str, dict[str, Any]]
AT_ONCE = 16
"""Answers whose logits of both models are held together."""
DRAWS = 1 << 20
"""Sampling seeds of two runs' seeds never meet below this many prompts."""


def draw(network: Network, bench: Bench, seed: int, *, forced: int = 0) -> Answers:
    """One answer to each prompt, after `forced` tokens of the opposite one; prompt i's draw depends on (seed, i)."""
    prompts = [prompt.ids + prompt.opposite[:forced] for prompt in bench.prompts]
    generators = [torch.Generator().manual_seed(seed * DRAWS + index) for index in range(len(prompts))]
    drawn = sample(
        network,
        prompts,
        max_new_tokens=bench.config.max_new_tokens,
        temperature=bench.config.temperature,
        generators=generators,
        stop=bench.stop,
    )
    rows = tuple(
        Row(prompt, one.ids, int(one.ended), len(bench.text(one.ids).encode()))
        for prompt, one in zip(prompts, drawn, strict=True)
    )
    return Answers(rows, tuple(one.ended for one in drawn))


def along_start(bench: Bench, seed: int) -> Along:
    """The start's own answers, and its logits along them."""
    with bench.start() as network:
        answers = draw(network, bench, seed)
        return Along(answers, tuple(answer_logits(network, answers.rows)))


@dataclass(frozen=True, slots=True)
class Divergences:
    """Along one set of answers: KL at every answer token (bits), rank shifts, the start's bits for the answer."""

    bits: list[list[float]]
    shifts: list[list[int]]
    start_bits: list[float]


def from_start(network: Network, along: Along) -> Divergences:
    """KL(start‖θ) along the start's answers."""
    found = Divergences([], [], [])
    for first in range(0, len(along.logits), AT_ONCE):
        rows = along.answers.rows[first : first + AT_ONCE]
        for start, model, row in zip(
            along.logits[first : first + AT_ONCE], answer_logits(network, rows), rows, strict=True
        ):
            _note(found, start, model, row, kl_bits(start, model))
    return found


def to_start(network: Network, bench: Bench, answers: Answers) -> Divergences:
    """KL(θ‖start) along θ's own answers."""
    found = Divergences([], [], [])
    for first in range(0, len(answers.rows), AT_ONCE):
        rows = answers.rows[first : first + AT_ONCE]
        with bench.start() as beginning:
            start_logits = answer_logits(beginning, rows)
        for start, model, row in zip(start_logits, answer_logits(network, rows), rows, strict=True):
            _note(found, start, model, row, kl_bits(model, start))
    return found


def _note(found: Divergences, start: torch.Tensor, model: torch.Tensor, row: Row, bits: torch.Tensor) -> None:
    found.bits.append([max(0.0, x) for x in bits.tolist()])  # rounding may leave −1e-17
    found.shifts.append(rank_shift(start, model).tolist())
    taken = torch.tensor(row.answer, device=start.device)
    nats = start.float().log_softmax(-1).gather(-1, taken[:, None]).double().sum()
    found.start_bits.append(-float(nats) / math.log(2))


def coded(network: Network, rows: Sequence[Row]) -> list[CodeLength]:
    """Code length of each answer, in bits, with and without its stop."""
    return [
        code_length(logprobs, stop=row.stop, answer_bytes=row.answer_bytes)
        for logprobs, row in zip(token_logprobs(network, rows), rows, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Readings:
    """What was read at one point, item by item."""

    answers: Answers
    texts: list[str]
    scores: list[float] | None
    wanted: list[CodeLength]
    opposite: list[CodeLength]
    neutral: list[CodeLength]
    away: Divergences
    """Along the start's answers."""
    own: Divergences
    """Along the point's own answers."""


def take(network: Network, bench: Bench, along: Along, seed: int) -> Readings:
    """Take all readings of the network on the bench."""
    answers = draw(network, bench, seed)
    texts = [bench.text(row.answer) for row in answers.rows]
    both = coded(network, [*bench.wanted, *bench.opposite])
    half = len(bench.wanted)
    return Readings(
        answers,
        texts,
        list(bench.scorer(texts)) if bench.scorer.reportable else None,
        both[:half],
        both[half:],
        coded(network, bench.neutral),
        from_start(network, along),
        to_start(network, bench, answers),
    )


def margins(readings: Readings) -> list[float]:
    """Log p(wanted) − log p(opposite) of each held-out pair, each per UTF-8 bit of its own answer: bit/bit."""
    return [margin(wanted, opposite) for wanted, opposite in zip(readings.wanted, readings.opposite, strict=True)]


def records(point: Point, readings: Readings, bench: Bench, about: dict[str, Any]) -> Iterator[Record]:
    """The records of a point, its cell last; `about` is its label and what it was tuned on."""
    yield from _samples(point, readings, bench)
    yield from _pairs(point, readings)
    for index, text in enumerate(readings.neutral):
        body = {"index": index, "bits": text.bits, "bits_without_stop": text.bits_without_stop, "bytes": text.bytes}
        yield "document", f"{point.id}/neutral/{index}", {"cell": point.id, **body}
    for along, found in (("start", readings.away), ("own", readings.own)):
        for index, bits in enumerate(found.bits):
            yield (
                "divergence",
                f"{point.id}/{along}/{index}",
                {"cell": point.id, "along": along, "index": index, "bits": bits},
            )
    yield "cell", point.id, _cell(point, readings, about)


def _samples(point: Point, readings: Readings, bench: Bench) -> Iterator[Record]:
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


def _pairs(point: Point, readings: Readings) -> Iterator[Record]:
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
                "margin": difference,
            },
        )


def _cell(point: Point, readings: Readings, about: dict[str, Any]) -> dict[str, Any]:
    found = state(readings.texts)
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
        "kl_from_start": per_token(readings.away.bits).json(),
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

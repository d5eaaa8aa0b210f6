"""Read one point: sample, score, compare with the start, item by item."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from springback.elasticity.code_length import CodeLength, code_length, margin
from springback.experiments.audit.bench import Along, Answers, Bench, Network
from springback.models.generate import sample, streams
from springback.models.rows import Row
from springback.models.score import answer_logits, token_logprobs
from springback.tensors.divergences import kl_bits, rank_shift

AT_ONCE = 128 * 2**20
"""Bytes of one model's logits that are held together."""


def draw(network: Network, bench: Bench, seed: int, *, forced: int = 0, again: bool = False) -> Answers:
    """One answer to each prompt, after `forced` tokens of the opposite one; prompt i's draw depends on (seed, i).

    `again` draws from other streams: what differs from the first draw is noise.
    """
    prompts = [prompt.ids + prompt.opposite[:forced] for prompt in bench.prompts]
    drawn = sample(
        network,
        prompts,
        max_new_tokens=bench.config.max_new_tokens,
        temperature=bench.config.temperature,
        generators=streams(2 * seed + again, len(prompts)),
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
        parts = [answer_logits(network, rows) for rows in portions(answers.rows, network)]
    return Along(answers, tuple(logits for part in parts for logits in part))


def portions(rows: Sequence[Row], network: Network) -> Iterator[Sequence[Row]]:
    """The rows in portions whose logits fit into memory: the same for every model, so equal models stay bit-equal."""
    vocab = network.config.get_text_config().vocab_size  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    size = max(1, AT_ONCE // (2 * vocab * max((len(row.answer) for row in rows), default=1)))
    yield from (rows[first : first + size] for first in range(0, len(rows), size))


@dataclass(frozen=True, slots=True)
class Divergences:
    """Along one set of answers: KL at every answer token (bits), rank shifts, the start's bits for the answer."""

    bits: list[list[float]]
    ranks: list[list[int]]
    start_bits: list[float]


def from_start(network: Network, along: Along) -> list[list[float]]:
    """KL(start‖θ) at every token of the start's answers, bits."""
    starts = iter(along.logits)
    return [
        _bits(kl_bits(next(starts), model))
        for rows in portions(along.answers.rows, network)
        for model in answer_logits(network, rows)
    ]


def to_start(network: Network, bench: Bench, answers: Answers) -> Divergences:
    """KL(θ‖start) along θ's own answers."""
    found = Divergences([], [], [])
    for rows in portions(answers.rows, network):
        with bench.start() as beginning:
            start_logits = answer_logits(beginning, rows)
        for start, model, row in zip(start_logits, answer_logits(network, rows), rows, strict=True):
            _note(found, start, model, row, kl_bits(model, start))
    return found


def _note(found: Divergences, start: torch.Tensor, model: torch.Tensor, row: Row, bits: torch.Tensor) -> None:
    found.bits.append(_bits(bits))
    found.ranks.append(rank_shift(start, model).tolist())
    taken = torch.tensor(row.answer, device=start.device)
    nats = start.float().log_softmax(-1).gather(-1, taken[:, None]).double().sum()
    found.start_bits.append(-float(nats) / math.log(2))


def _bits(kl: torch.Tensor) -> list[float]:
    return [max(0.0, x) for x in kl.tolist()]  # rounding may leave −1e-9


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
    away: list[list[float]]
    """KL(start‖θ) at every token of the start's answers, bits."""
    own: Divergences
    """Along the point's own answers."""


def take(network: Network, bench: Bench, along: Along, seed: int) -> Readings:
    """Take all readings of the network on the bench."""
    answers = draw(network, bench, seed)
    texts = [bench.text(row.answer) for row in answers.rows]
    texts_coded = coded(network, [*bench.wanted, *bench.opposite, *bench.neutral])
    half = len(bench.wanted)
    return Readings(
        answers,
        texts,
        list(bench.scorer(texts)) if bench.scorer.reportable else None,
        texts_coded[:half],
        texts_coded[half : 2 * half],
        texts_coded[2 * half :],
        from_start(network, along),
        to_start(network, bench, answers),
    )


def take_again(network: Network, bench: Bench, of_start: Readings, seed: int) -> Readings:
    """A second draw of the start. Its weights are the start's, so what is not drawn is the start's, bit for bit."""
    answers = draw(network, bench, seed, again=True)
    texts = [bench.text(row.answer) for row in answers.rows]
    scores = list(bench.scorer(texts)) if bench.scorer.reportable else None
    return replace(of_start, answers=answers, texts=texts, scores=scores, own=to_start(network, bench, answers))


def margins(readings: Readings) -> list[float]:
    """Log p(wanted) − log p(opposite) of each held-out pair, each per UTF-8 bit of its own answer: bit/bit."""
    return [margin(wanted, opposite) for wanted, opposite in zip(readings.wanted, readings.opposite, strict=True)]

"""How deep: KL by position, prefill curve, layers, and one page of answers token by token."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from springback.experiments.audit.bench import Answers, Bench, Network
from springback.experiments.audit.cell import Record
from springback.experiments.audit.grid import Point
from springback.experiments.audit.measure import Readings, draw
from springback.experiments.audit.thresholds import FEWEST_ANSWERS
from springback.interp.layer_swap import RowPair, SwapCurve, residuals, swap_curve
from springback.interp.token_depth import profile, shifts_by_position
from springback.models.layout import Layout, chosen
from springback.models.score import answer_logits
from springback.stats.measured import mean, unmeasured
from springback.tensors.divergences import kl_bits, rank_shift

STRIPS = 4
"""Answers shown token by token."""
EVEN = 6
"""Layers of the swap curve unless all are asked for: evenly spaced, the first and the last among them."""
LAYER_PAIRS = 48
"""Pairs of the swap curve, the first ones; its records say how many."""
TOP = 5
"""Most likely tokens shown of each model."""


def positions(point: Point, readings: Readings) -> Iterator[Record]:
    """KL by answer position (first answer token = 1), mean over the answers that reach it; rank shifts there.

    Cut where fewer than ten answers reach a position, along either model's answers.
    """
    fewest = int(FEWEST_ANSWERS.value)
    away, own = profile(readings.away, at_least=fewest), profile(readings.own.bits, at_least=fewest)
    shifts = shifts_by_position(readings.own.ranks, at_least=fewest)
    for along_start, along_own, shift in zip(away, own, shifts, strict=False):
        body = {
            "cell": point.id,
            "position": along_own.position,
            "kl_from_start": along_start.kl.json(),
            "kl_to_start": along_own.kl.json(),
            "n": along_own.n,
            "shift": shift.json(),
        }
        yield "position", f"{point.id}/{along_own.position}", body


def prefill(network: Network, point: Point, bench: Bench, unforced: Answers) -> Iterator[Record]:
    """Score of what follows the first k tokens of the held-out opposite answer; the forced part is not scored."""
    for forced in bench.config.forced_tokens:
        answers = draw(network, bench, point.seed, forced=forced) if forced else unforced
        texts = [bench.text(row.answer) for row in answers.rows]
        found = bench.state(texts)
        if not bench.scorer.reportable:
            score = unmeasured("the scorer cannot tell wanted from opposite")
        elif found.name == "degenerate":
            score = unmeasured(f"the answers are degenerate: {found.why}")
        else:
            score = mean(bench.scorer(texts), over="prompts", unit="probability of wanted")
        body = {"model": point.id, "forced_tokens": forced, "score": score.json()}
        yield "prefill", f"{point.id}/{forced}", body


def strip(network: Network, point: Point, bench: Bench, answers: Answers) -> Iterator[Record]:
    """The first answers of the point, token by token, with what the start would have said there."""
    rows = answers.rows[:STRIPS]
    with bench.start() as beginning:
        starts = answer_logits(beginning, rows)
    for index, (row, start, model) in enumerate(zip(rows, starts, answer_logits(network, rows), strict=True)):
        bits, ranks = kl_bits(model, start).tolist(), rank_shift(start, model).tolist()
        tokens = [
            {
                "text": bench.model.tokenizer.decode([token]),
                "kl": max(0.0, bits[place]),
                "rank_shift": ranks[place],
                "start_top": _top(start[place], bench),
                "model_top": _top(model[place], bench),
            }
            for place, token in enumerate(row.answer)
        ]
        body: dict[str, Any] = {"cell": point.id, "against": f"{point.seed}/main/0/0"}
        yield "strip", str(index), {**body, "prompt": bench.prompts[index].text, "tokens": tokens}


def layers(network: Network, point: Point, bench: Bench) -> Iterator[Record]:
    """Share of the change in margin that one model's residual stream brings into the other, after each chosen layer.

    Both directions, on the first 48 pairs; the first beside a random step of the same length. Each record says how
    many layers there are.
    """
    both = zip(bench.wanted, bench.opposite, strict=True)
    pairs = [RowPair(wanted, opposite) for wanted, opposite in both][:LAYER_PAIRS]
    models = [f"{point.seed}/main/0/0", point.id]
    here = Layout.of(network)
    read = chosen(here.layers, None if bench.config.layers == "all" else EVEN)
    with bench.start() as beginning:
        there = Layout.of(beginning)
        own, start = residuals(network, here, pairs, read), residuals(beginning, there, pairs, read)
    if torch.equal(own.margins, start.margins):
        yield from _alike(models, read, here.layers)
        return
    into_aligned = swap_curve(network, here, pairs, start, generator=torch.Generator().manual_seed(0))
    yield from _curve("start_into_aligned", models, into_aligned, here.layers)
    with bench.start() as beginning:
        into_start = swap_curve(beginning, there, pairs, own, generator=None)
    yield from _curve("aligned_into_start", models, into_start, here.layers)


def _alike(models: list[str], read: Sequence[int], of: int) -> Iterator[Record]:
    """Two models that agree on every pair to the bit: no layer carries a change, so none is swapped."""
    why = unmeasured("the two models agree on every pair to the bit: there is no change to recover").json()
    for direction in ("start_into_aligned", "aligned_into_start"):
        for layer in read:
            body = {"pair": models, "direction": direction, "layer": layer, "layers": of}
            yield "layer", f"{direction}/{layer}", {**body, "recovered": why, "placebo": why}


def _curve(direction: str, models: list[str], curve: SwapCurve, of: int) -> Iterator[Record]:
    shares = zip(curve.layers, curve.recovered(), curve.recovered_by_placebo(), strict=True)
    for layer, recovered, placebo in shares:
        body = {"pair": models, "direction": direction, "layer": layer, "layers": of}
        yield "layer", f"{direction}/{layer}", {**body, "recovered": recovered.json(), "placebo": placebo.json()}


def _top(logits: Tensor, bench: Bench) -> list[list[object]]:
    """The most likely tokens and their probabilities."""
    logprobs, tokens = torch.topk(logits.float().log_softmax(-1), min(TOP, logits.shape[-1]))
    pairs = zip(tokens.tolist(), logprobs.tolist(), strict=True)
    return [[bench.model.tokenizer.decode([token]), math.exp(logprob)] for token, logprob in pairs]

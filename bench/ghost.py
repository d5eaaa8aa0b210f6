"""Inner products of pairs' gradients without forming gradients, against two backward passes a pair; and the cured step.

    OMP_NUM_THREADS=1 python bench/ghost.py [--model smollm2-135m-instruct|tiny|DIRECTORY] [--pairs 8] [--rounds 3]
    OMP_NUM_THREADS=1 python bench/ghost.py --only ghost|joint|plain     peak memory of one way, in a process of its own
    OMP_NUM_THREADS=1 python bench/ghost.py --steps [--pairs 4]           the cured step against DPO's

Random tokens, prompt 128 and answers 64, float32. The ways take turns, in changing order, after their results were held
against each other (1e-5 of ‖g_w‖‖g_l‖; exit 1 where they differ). `joint` is what one writes first: both answers as one
batch, all logits, a backward pass for each. `plain` is ours: answers alone, logits of the answer only. Goals: 2.7 × in
wall time and at most 1.2 × the memory of `joint`; the cured step at most 1.25 × a DPO step on the same padded rows.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from springback.models.load import load
from springback.models.packing import padded
from springback.models.rows import Row, RowPair
from springback.train.entanglement import inner_products
from springback.train.entanglement.cured_step import cured_step
from springback.train.entanglement.pairwise_normalised import PairwiseNormalised
from springback.train.entanglement.trial import known
from springback.train.pair_logprobs import pair_logprobs
from springback.train.preference import DPO, PairLogprobs
from springback.train.sft import answer_logprobs

Table = list[list[float]]
GOAL = {"wall": 2.7, "memory": 1.2, "step": 1.25}
CLOSE = 1e-5


def main() -> int:
    asked = _options()
    torch.set_num_threads(asked.threads)
    network = load(asked.model, dtype=torch.float32).network.requires_grad_(requires_grad=True)
    pairs = made(network, asked.pairs, asked.prompt, asked.answer)
    began = time.process_time()
    note = known(network, [name for name, _ in network.named_parameters()]).why
    shape = {
        "model": asked.model,
        "pairs": asked.pairs,
        "tokens": [asked.prompt, asked.answer],
        "threads": asked.threads,
    }
    print_json(shape | {"trial_cpu_s": round(time.process_time() - began, 2), "note": note})
    if asked.only:
        spent = timed(lambda: INNER[asked.only](network, pairs))
        print_json({"way": asked.only, "peak_gib": round(peak(), 2), **spent[0]})
        return 0
    ways: Mapping[str, Callable[..., Any]] = (
        STEPS if asked.steps else {n: w for n, w in INNER.items() if n in asked.ways}
    )
    found, times = turns({name: lambda way=way: way(network, pairs) for name, way in ways.items()}, asked.rounds)
    first = next(iter(ways))
    apart = 0.0 if asked.steps else max(difference(found[first], found[name]) for name in ways)
    print_json({"ways": times, "ratios": ratios(times, first), "goals": GOAL, "largest_difference": apart})
    return 0 if apart <= CLOSE and note is None else 1


def ghost(network: nn.Module, pairs: Sequence[RowPair]) -> Table:
    return [list(pair.whole) for pair in inner_products(network, pairs, method="ghost").pairs]


def plain(network: nn.Module, pairs: Sequence[RowPair]) -> Table:
    return [list(pair.whole) for pair in inner_products(network, pairs, method="plain").pairs]


def joint(network: nn.Module, pairs: Sequence[RowPair]) -> Table:
    """Both answers of a pair as one batch of equal lengths, two backward passes through it."""
    parameters, found = list(network.parameters()), []
    for pair in pairs:
        ids = torch.tensor([pair.chosen.prompt + pair.chosen.answer, pair.rejected.prompt + pair.rejected.answer])
        logprobs = network(ids, use_cache=False).logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        sums = logprobs[:, len(pair.chosen.prompt) - 1 :].sum(dim=1)
        w = torch.autograd.grad(sums[0], parameters, retain_graph=True)
        v = torch.autograd.grad(sums[1], parameters)
        found.append(
            [sum(float((a * b).sum()) for a, b in zip(x, y, strict=True)) for x, y in ((w, w), (v, v), (w, v))]
        )
    return found


def cured(network: nn.Module, pairs: Sequence[RowPair]) -> None:
    cured_step(network, pairs, DPO(), reference(pairs), PairwiseNormalised()).summed.total.backward()
    network.zero_grad()


def dpo(network: nn.Module, pairs: Sequence[RowPair]) -> None:
    """The same padded rows, one usual backward pass."""
    rows = [row for pair in pairs for row in (pair.chosen, pair.rejected)]
    logprobs = answer_logprobs(network, rows, padded(network, rows)).split([len(row.answer) for row in rows])
    sums = torch.stack([one.sum() for one in logprobs])
    DPO()(PairLogprobs(sums[0::2], sums[1::2]), reference(pairs)).sum().backward()
    network.zero_grad()


def dpo_shared(network: nn.Module, pairs: Sequence[RowPair]) -> None:
    """Each prompt once, as `springback prefer` trains."""
    DPO()(pair_logprobs(network, pairs), reference(pairs)).sum().backward()
    network.zero_grad()


INNER = {"ghost": ghost, "joint": joint, "plain": plain}
STEPS = {"dpo": dpo, "cured": cured, "dpo, prompt shared": dpo_shared}


def reference(pairs: Sequence[RowPair]) -> PairLogprobs:
    return PairLogprobs(*(torch.full((len(pairs),), -300.0, dtype=torch.float64) for _ in range(2)))


def made(network: nn.Module, pairs: int, prompt: int, answer: int) -> list[RowPair]:
    """Random ids: the work does not depend on what they say."""
    vocab = network.config.get_text_config().vocab_size  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(5, vocab, (pairs, prompt + 2 * answer), generator=draw).tolist()
    rows = [[Row(tuple(line[:prompt]), tuple(part), 1, 0) for part in (line[prompt:][:answer], line[prompt:][answer:])]
            for line in ids]  # fmt: skip
    return [RowPair(*two) for two in rows]


def turns(
    works: Mapping[str, Callable[[], Any]], rounds: int
) -> tuple[dict[str, Any], dict[str, list[dict[str, float]]]]:
    """What each way found, and what it took in each round."""
    found: dict[str, Any] = {}
    times: dict[str, list[dict[str, float]]] = {name: [] for name in works}
    for turn in range(rounds):
        for name in sorted(works, reverse=bool(turn % 2)):
            spent, found[name] = timed(works[name])
            times[name].append(spent)
            print_json({name: spent})
    return found, times


def timed(work: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return {"wall_s": round(time.perf_counter() - wall, 2), "cpu_s": round(time.process_time() - cpu, 2)}, found


def ratios(times: Mapping[str, list[dict[str, float]]], first: str) -> dict[str, Any]:
    """Median over rounds of every way's time divided by the first one's."""
    return {
        f"{name} / {first}": {
            unit: round(statistics.median(b[unit] / a[unit] for a, b in zip(times[first], spent, strict=True)), 2)
            for unit in ("wall_s", "cpu_s")
        }
        for name, spent in times.items()
        if name != first
    }


def difference(one: Table, other: Table) -> float:
    """Largest difference relative to ‖g_w‖‖g_l‖."""
    return max(
        abs(a - b) / (y[0] * y[1]) ** 0.5 for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)
    )


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def print_json(body: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(body) + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--answer", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=list(INNER), default=list(INNER))
    parser.add_argument("--only", choices=list(INNER))
    parser.add_argument("--steps", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

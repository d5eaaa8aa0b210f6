"""Residual capture against a plain forward: what does reading every block's output cost?

    python bench/residual_capture.py [--model smollm2-135m-instruct|tiny|DIRECTORY] [--batch 8] [--tokens 128]

Plain and capturing forwards take turns, in changing order; the ratio is the median over rounds of their CPU times
(goal ≤ 1.05). Before that, logits must be bit-equal and every stream the one that transformers itself returns. A
restart after the middle block is timed beside them. Prints one JSON object; exit 1 where a result differs.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from springback.errors import RefusedError
from springback.models.hooks import capture, restart
from springback.models.layout import Layout
from springback.models.load import load

GOAL = 1.05


def main() -> int:
    options = _options()
    torch.set_num_threads(options.threads)
    try:
        network = load(options.model, dtype=torch.float32).network
    except RefusedError as error:
        sys.stderr.write(f"{error.message} Benchmarking the tiny model instead.\n")
        options.model, network = "tiny", load("tiny", dtype=torch.float32).network
    began = time.process_time()
    layout = Layout.of(network)
    proving = time.process_time() - began
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 255, (options.batch, options.tokens), generator=generator)
    equal = same(network, layout, ids)
    runs = forwards(network, layout, ids)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(options.rounds):
        for name in sorted(runs, reverse=bool(turn % 2)):
            times[name].append(seconds(runs[name]))
    ratios = [c / p for c, p in zip(times["capture"], times["plain"], strict=True)]
    found = {
        "model": options.model,
        "shape": [options.batch, options.tokens],
        "layers": layout.layers,
        "proof_cpu_seconds": round(proving, 3),
        "cpu_seconds": {name: round(statistics.median(spent), 4) for name, spent in times.items()},
        "ratio": round(statistics.median(ratios), 4),
        "ratios": [round(ratio, 4) for ratio in ratios],
        "goal": GOAL,
        "equal": equal,
    }
    sys.stdout.write(json.dumps(found) + "\n")
    return 0 if equal else 1


@torch.no_grad()
def forwards(network: nn.Module, layout: Layout, ids: Tensor) -> dict[str, Callable[[], object]]:
    """A plain forward, one that captures all blocks, and one that begins after the middle block."""
    middle = layout.layers // 2
    with capture(network, layout, [middle]) as captured:
        plain(network, ids)
    hidden = captured[middle]

    def capturing() -> object:
        with capture(network, layout, range(layout.layers)) as streams:
            plain(network, ids)
        return streams

    def restarting() -> object:
        with restart(network, layout, middle, hidden):
            return plain(network, ids)

    return {"plain": lambda: plain(network, ids), "capture": capturing, "restart": restarting}


@torch.no_grad()
def same(network: nn.Module, layout: Layout, ids: Tensor) -> bool:
    """Logits bit-equal to those of the plain forward, streams to `output_hidden_states` (its last one is normed)."""
    out = network(input_ids=ids, use_cache=False, output_hidden_states=True)
    with capture(network, layout, range(layout.layers)) as streams:
        logits = plain(network, ids)
    inner = all(torch.equal(streams[layer], out.hidden_states[layer + 1]) for layer in range(layout.layers - 1))
    return inner and torch.equal(logits, out.logits)


@torch.no_grad()
def plain(network: nn.Module, ids: Tensor) -> Tensor:
    return network(input_ids=ids, use_cache=False).logits


def seconds(run: Callable[[], object]) -> float:
    """CPU seconds of the whole process: other processes on the machine count for little."""
    began = time.process_time()
    run()
    return time.process_time() - began


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""A DPO step of ours against TRL's: same model, pairs, loss and AdamW, in turn, in one process.

    python -m venv --system-site-packages trl && trl/bin/python -m pip install -e '.[peft]' 'trl==1.16.0'
    trl/bin/python bench/prefer_trl.py [--model ALIAS] [--dtype float32|bfloat16] [--prompt 128] [--response 64]
        [--batch 4] [--steps 4] [--rounds 3] [--against defaults,best] [--online] [--threads 1] [--memory]
        [--allocator tuned|default]

`defaults`: TRL as it comes (gradient checkpointing, the reference asked in every step). `best`: neither (reference
computed beforehand). Ours: `pair_logprobs`, the reference computed beforehand, `fit` and `MasterAdamW`; `ours online`
asks the reference in every step too. Tokens are random, lengths equal (`--ragged`: not), tokenising is outside. AdamW
.9, .999, 1e-8, no decay, clip 1, constant rate. Each round begins at the same weights, the order turns from round to
round. Timed: the steps after the first. Compared: the loss of every step, to `BOUND`. With `--memory`, each alone in a
process of its own: its peak resident memory. Prints one JSON object, exit 1 where a loss differs by more. The allocator
is glibc's for all; `tuned` keeps freed memory instead of giving it back to the system.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from springback.fit.loop import Fit, Summed, fit
from springback.fit.masters import MasterAdamW
from springback.models.load import load
from springback.models.rows import Row, RowPair
from springback.train.pair_logprobs import pair_logprobs
from springback.train.preference.dpo import DPO
from springback.train.preference.pairs import PairLogprobs

BOUND = {"float32": 1e-4, "bfloat16": 5e-2}
"""Largest difference of a step's loss, nats a pair. In bfloat16 either side is .01 to .03 from float32's after a step:
answers of random tokens have 850 nats, and logits 8 bits."""
TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_TOP_PAD_": str(2**26)}
GOALS = {"defaults": {"float32": 2.5, "bfloat16": 2.6}, "best": {"float32": 1.8, "bfloat16": 1.8}}
LONG = {"defaults": 3.0, "best": 2.2}
"""Goals with prompts of 512 tokens."""

Timed = list[tuple[float, float, float]]
"""Loss, wall and CPU seconds of each step."""


def pairs(asked: argparse.Namespace, vocab: int) -> list[RowPair]:
    draw = torch.Generator().manual_seed(0)

    def ids(most: int) -> tuple[int, ...]:
        count = int(torch.randint(most // 4, most + 1, (1,), generator=draw)) if asked.ragged else most
        return tuple(torch.randint(3, vocab, (count,), generator=draw).tolist())

    prompts = [ids(asked.prompt) for _ in range(asked.batch * asked.steps)]
    return [RowPair(*(Row(prompt, ids(asked.response), 1, 0) for _ in range(2))) for prompt in prompts]


def batches(asked: argparse.Namespace, given: list[RowPair]) -> list[list[RowPair]]:
    return [given[start : start + asked.batch] for start in range(0, len(given), asked.batch)]


def ours(asked: argparse.Namespace, *, online: bool = False) -> Callable[[], Timed]:
    """A function that tunes from the start and says what each step took."""
    network = load(asked.model, dtype=getattr(torch, asked.dtype)).network.eval()
    given = batches(asked, pairs(asked, network.config.vocab_size))
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    other = load(asked.model, dtype=getattr(torch, asked.dtype)).network.eval() if online else None
    with torch.no_grad():
        before = {id(batch): pair_logprobs(network, batch) for batch in given if not online}
    network.requires_grad_()

    def reference(batch: list[RowPair]) -> PairLogprobs:
        if other is None:
            return before[id(batch)]
        with torch.no_grad():
            return pair_logprobs(other, batch)

    def loss(batch: list[RowPair]) -> Summed:
        policy = pair_logprobs(network, batch)
        return Summed(DPO(asked.beta)(policy, reference(batch)).sum(), len(batch), 0)

    def tune() -> Timed:
        network.load_state_dict(start)
        update = MasterAdamW(network, betas=(0.9, 0.999), eps=1e-8)
        return timed(step.loss for step in fit(loss, given, update, Fit(lr=asked.learning_rate)))

    return tune


def timed(losses: Any) -> Timed:
    found, wall, cpu = [], time.perf_counter(), time.process_time()
    for loss in losses:
        found.append((loss, time.perf_counter() - wall, time.process_time() - cpu))
        wall, cpu = time.perf_counter(), time.process_time()
    return found


def side(name: str, asked: argparse.Namespace) -> Callable[[], Timed]:
    if name.startswith("ours"):
        return ours(asked, online=name == "ours online")
    from prefer_trl_peer import peer  # needs TRL

    return peer(name, asked, pairs)


def in_turn(asked: argparse.Namespace, names: list[str]) -> dict[str, list[Timed]]:
    sides = {name: side(name, asked) for name in names}
    found: dict[str, list[Timed]] = {name: [] for name in names}
    for turn in range(asked.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(sides[name]())
            said = (f"{loss:.6f} nats {cpu:.2f} CPU-s" for loss, _, cpu in found[name][-1])
            sys.stderr.write(f"{turn} {name}: {', '.join(said)}\n")
    return found


def seconds(rounds: list[Timed], column: int) -> list[float]:
    """Median step of each round; the first step of a round is not counted where there are others."""
    return [statistics.median(step[column] for step in (steps[1:] or steps)) for steps in rounds]


def ratios(asked: argparse.Namespace, found: dict[str, list[Timed]]) -> dict[str, Any]:
    """Theirs over ours, round by round: the median, and the least and the greatest."""
    table = {}
    for name in asked.against:
        goal = LONG[name] if asked.prompt >= 512 else GOALS[name][asked.dtype]
        table[name] = {"goal": goal}
        for column, kind in ((1, "wall"), (2, "cpu")):
            each = [a / b for a, b in zip(seconds(found[name], column), seconds(found["ours"], column), strict=True)]
            table[name][kind] = {"median": statistics.median(each), "least": min(each), "greatest": max(each)}
    return table


def apart(found: dict[str, list[Timed]]) -> float:
    mine = found["ours"][0]
    return max(abs(a[0] - b[0]) for rounds in found.values() for r in rounds for a, b in zip(r, mine, strict=True))


def peaks(asked: argparse.Namespace, names: list[str]) -> dict[str, float]:
    """GiB of each side alone in a process."""
    command = [sys.executable, __file__, *sys.argv[1:], "--alone"]
    run = {name: subprocess.run([*command, name], check=True, capture_output=True, text=True).stdout for name in names}
    return {name: json.loads(said.splitlines()[-1])["peak_gib"] for name, said in run.items()}


def say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--dtype", default="float32", choices=list(BOUND))
    for name, default in {"prompt": 128, "response": 64, "batch": 4, "steps": 4, "rounds": 3, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--learning-rate", type=float, default=1e-5)
    parser.add_argument("--beta", type=float, default=0.1)
    parser.add_argument("--against", default="defaults,best", type=lambda text: text.split(",") if text else [])
    parser.add_argument("--ragged", action="store_true", help="lengths from a quarter of the given ones to the whole")
    parser.add_argument("--online", action="store_true", help="time ours with the reference asked in every step too")
    parser.add_argument("--allocator", default="tuned", choices=["tuned", "default"])
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    asked = options()
    if asked.allocator == "tuned" and any(os.environ.get(name) != value for name, value in TUNED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | TUNED)
    torch.set_num_threads(asked.threads)
    names = ["ours", *(["ours online"] if asked.online else []), *asked.against]
    if asked.alone:
        side(asked.alone, asked)()
        say({"peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20})
        return 0
    facts = {"torch": torch.__version__, "load": os.getloadavg()[0], **vars(asked)}
    facts["malloc"] = {name: value for name, value in os.environ.items() if "MALLOC" in name}
    if asked.memory:
        say(facts | {"peak_gib": peaks(asked, names)})
        return 0
    found = in_turn(asked, names)
    cpu = {name: statistics.median(seconds(rounds, 2)) for name, rounds in found.items()}
    said = {"cpu_seconds_a_step": cpu, "ratio": ratios(asked, found), "loss_apart": apart(found)}
    say(facts | said | {"losses": [step[0] for step in found["ours"][0]]})
    return int(said["loss_apart"] > BOUND[asked.dtype])


if __name__ == "__main__":
    sys.exit(main())

"""A step of a reward model of ours against TRL's RewardTrainer: same model, head, pairs, loss and AdamW, in turn.

    python -m venv --system-site-packages trl && trl/bin/python -m pip install -e '.[peft]' 'trl==1.16.0'
    trl/bin/python bench/reward_trl.py [--dtype float32|bfloat16] [--prompt 128] [--response 64] [--batch 4] [--steps 4]
        [--rounds 3] [--against defaults,best] [--threads 1] [--allocator tuned|default] [--memory]

`defaults`: TRL as it comes (gradient checkpointing). `best`: without it. Ours: `train/reward/step.py` with `fit` and
`MasterAdamW`, both answers behind one prompt. Tokens are random, every pair has one prompt, all lengths are equal,
tokenising is outside; scores are read at the same token. Everything else as in `prefer_trl.py`, whose rounds these are.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable

import torch
from prefer_trl import BOUND, TUNED, Timed, apart, batches, options, pairs, say, seconds, timed

from springback.fit.loop import Fit, fit
from springback.fit.masters import MasterAdamW
from springback.models.load import load
from springback.models.reward_head import reward_of
from springback.models.reward_model import RewardModel
from springback.train.reward.bradley_terry import BradleyTerry
from springback.train.reward.step import Ranked, summed

GOAL = 2.0


def start(asked: argparse.Namespace) -> RewardModel:
    """The reward model that both sides begin from."""
    return reward_of(load(asked.model, dtype=getattr(torch, asked.dtype)), seed=0)


def ours(asked: argparse.Namespace) -> Callable[[], Timed]:
    """A function that trains from the start and says what each step took."""
    model = start(asked)
    rows = [Ranked((pair.chosen, pair.rejected), (1.0, 0.0)) for pair in pairs(asked, model.network.config.vocab_size)]
    given = batches(asked, rows)  # pyright: ignore[reportArgumentType]
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    model.network.requires_grad_(requires_grad=True)

    def tune() -> Timed:
        model.network.load_state_dict(before)
        update = MasterAdamW(model.network, betas=(0.9, 0.999), eps=1e-8)
        loss = lambda batch: summed(model, BradleyTerry(), batch)
        return timed(step.loss for step in fit(loss, given, update, Fit(lr=asked.learning_rate)))

    return tune


def side(name: str, asked: argparse.Namespace) -> Callable[[], Timed]:
    if name == "ours":
        return ours(asked)
    from reward_trl_peer import peer  # needs TRL

    return peer(name, asked, start(asked), pairs)


def in_turn(asked: argparse.Namespace, names: list[str]) -> dict[str, list[Timed]]:
    sides = {name: side(name, asked) for name in names}
    found: dict[str, list[Timed]] = {name: [] for name in names}
    for turn in range(asked.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(sides[name]())
            said = (f"{loss:.6f} nats {cpu:.2f} CPU-s" for loss, _, cpu in found[name][-1])
            sys.stderr.write(f"{turn} {name}: {', '.join(said)}\n")
    return found


def ratios(asked: argparse.Namespace, found: dict[str, list[Timed]]) -> dict[str, dict[str, object]]:
    """Theirs over ours, round by round: the median, and the least and the greatest."""
    table: dict[str, dict[str, object]] = {name: {"goal": GOAL} for name in asked.against}
    for name in asked.against:
        for column, kind in ((1, "wall"), (2, "cpu")):
            each = [a / b for a, b in zip(seconds(found[name], column), seconds(found["ours"], column), strict=True)]
            table[name][kind] = {"median": statistics.median(each), "least": min(each), "greatest": max(each)}
    return table


def peaks(names: list[str]) -> dict[str, float]:
    """GiB of each side alone in a process."""
    command = [sys.executable, __file__, *sys.argv[1:], "--alone"]
    run = {name: subprocess.run([*command, name], check=True, capture_output=True, text=True).stdout for name in names}
    return {name: json.loads(said.splitlines()[-1])["peak_gib"] for name, said in run.items()}


def main() -> int:
    asked = options()
    if asked.allocator == "tuned" and any(os.environ.get(name) != value for name, value in TUNED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | TUNED)
    torch.set_num_threads(asked.threads)
    names = ["ours", *asked.against]
    if asked.alone:
        side(asked.alone, asked)()
        say({"peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20})
        return 0
    kept = ("model", "dtype", "prompt", "response", "batch", "steps", "rounds", "threads", "allocator")
    facts = {"torch": torch.__version__, "load": os.getloadavg()[0], **{name: getattr(asked, name) for name in kept}}
    if asked.memory:
        say(facts | {"peak_gib": peaks(names)})
        return 0
    found = in_turn(asked, names)
    cpu = {name: statistics.median(seconds(rounds, 2)) for name, rounds in found.items()}
    said = {"cpu_seconds_a_step": cpu, "ratio": ratios(asked, found), "loss_apart": apart(found)}
    say(facts | said | {"losses": [step[0] for step in found["ours"][0]]})
    return int(said["loss_apart"] > BOUND[asked.dtype])


if __name__ == "__main__":
    sys.exit(main())

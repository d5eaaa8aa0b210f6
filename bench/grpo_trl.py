"""A GRPO step of ours against TRL's, generation included: same model, prompts, settings and AdamW, in turn.

    python -m venv --system-site-packages trl && trl/bin/python -m pip install -e '.[peft]' 'trl==1.16.0'
    trl/bin/python bench/grpo_trl.py [--model tiny|smollm2-135m-instruct] [--dtype float32|bfloat16] [--prompts 2]
        [--group 8] [--prompt 64] [--response 64] [--steps 3] [--rounds 3] [--against defaults,best] [--threads 1]

A step: answers written, rewarded (a cheap function of token ids), reference read, one update. Both write with a cache
on torch alone (no vLLM), temperature 1, no top-k, every answer of the full length, so that the work is equal whatever
is drawn. GRPO with β = 0.04 and k3 in the loss, full tuning. `defaults`: TRL as it comes (gradient checkpointing);
`best`: without. Timed: the steps after the first of each round; each round begins at the same weights. Compared first,
with `--check`: both learn from the *same* answers of unequal lengths, and loss and gradient norm of every step must
agree to `BOUND`. Prints one JSON object, exit 1 where they do not. The allocator is glibc's for both, `tuned` as in
`prefer_trl`.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from springback.fit.masters import MasterAdamW
from springback.models.load import load
from springback.models.rollout import Rolled, roll, seed_of
from springback.models.rows import Row
from springback.train.policy.grpo import GRPO
from springback.train.policy.passes import forward_quietly
from springback.train.policy.recipe import Recipe
from springback.train.policy.updates import Learner, updates
from springback.train.policy.written import Written

BOUND = {"float32": 1e-4, "bfloat16": 2e-2}
"""Largest difference of a step's loss in nats; of its gradient norm a share of 10 times that."""
TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_TOP_PAD_": str(2**26)}
GOAL = 1.5
METHOD = GRPO()
Timed = list[tuple[float, float, float, float]]
"""Loss, gradient norm, wall and CPU seconds of each step."""
Answers = list[list[tuple[tuple[int, ...], tuple[int, ...]]]]
"""Of each step: prompt and answer of each row, a prompt's answers side by side."""


def prompts(asked: argparse.Namespace, vocab: int) -> list[tuple[int, ...]]:
    draw = torch.Generator().manual_seed(0)
    count = asked.prompts * asked.steps
    return [tuple(torch.randint(3, vocab, (asked.prompt,), generator=draw).tolist()) for _ in range(count)]


def reward(ids: Sequence[int]) -> float:
    """Cheap, and different between answers."""
    return sum(token % 3 == 0 for token in ids) / len(ids)


def start(asked: argparse.Namespace) -> tuple[Any, Any]:
    """The network to train and its untouched copy."""
    both = [load(asked.model, dtype=getattr(torch, asked.dtype)).network for _ in range(2)]
    return both[0].requires_grad_(requires_grad=True), both[1]


def written(rolled: Sequence[Sequence[Rolled]], asked: argparse.Namespace, step: int) -> list[tuple[int, ...]]:
    """The answers' ids; with `--check` cut to unequal lengths."""
    ids = [one.ids for group in rolled for one in group]
    return [each[: max(2, len(each) - (3 * place + step) % len(each))] for place, each in enumerate(ids)] if (
        asked.check
    ) else ids  # fmt: skip


def ours(asked: argparse.Namespace, answers: Answers | None = None) -> Callable[[], Timed]:
    network, reference = start(asked)
    given = prompts(asked, network.config.vocab_size)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    recipe = Recipe(lr=asked.learning_rate, at_once=asked.at_once)

    def tune() -> Timed:
        network.load_state_dict(before)
        learner = Learner(network, MasterAdamW(network, betas=(0.9, 0.999)))
        found: Timed = []
        for step in range(asked.steps):
            clock = time.perf_counter(), time.process_time()
            own = given[step * asked.prompts : (step + 1) * asked.prompts]
            seeds = [[seed_of(0, step, p * asked.group + i) for i in range(asked.group)] for p in range(len(own))]
            rolled = roll(network, own, seeds, max_new_tokens=asked.response, stop=frozenset())
            ids = written(rolled, asked, step)
            rows = [Row(own[place // asked.group], each, 0, 0) for place, each in enumerate(ids)]
            if answers is not None:
                answers.append([(row.prompt, row.answer) for row in rows])
            done = learnt(learner, reference, rows, asked, recipe, step)
            spent = time.perf_counter() - clock[0], time.process_time() - clock[1]
            found.append((done.step.loss, done.step.gradient_norm, *spent))
        return found

    return tune


def learnt(
    learner: Learner, reference: Any, rows: list[Row], asked: argparse.Namespace, recipe: Recipe, step: int
) -> Any:
    width = max(len(row.answer) for row in rows)
    other = forward_quietly(reference, rows, at_once=asked.at_once, width=width).logprobs
    real = torch.arange(width) < torch.tensor([[len(row.answer)] for row in rows])
    rewards = torch.tensor([reward(row.answer) for row in rows], dtype=torch.float64)
    group = torch.arange(len(rows)) // asked.group
    batch = Written(real, rewards, group, reference=other)
    (done,) = updates(learner, METHOD, rows, batch, METHOD.credit(batch), recipe, first=step)
    return done


def compared(asked: argparse.Namespace) -> dict[str, Any]:
    """Both on the same answers."""
    from grpo_trl_peer import peer  # needs TRL

    answers: Answers = []
    mine = ours(asked, answers)()
    theirs = peer("best", asked, prompts, reward, answers)()
    loss = max(abs(a[0] - b[0]) for a, b in zip(mine, theirs, strict=True))
    norm = max(abs(a[1] / b[1] - 1) for a, b in zip(mine, theirs, strict=True))
    told = {"ours": [step[:2] for step in mine], "theirs": [step[:2] for step in theirs]}
    return {"loss_apart": loss, "norm_apart": norm, **told}


def in_turn(asked: argparse.Namespace) -> dict[str, list[Timed]]:
    from grpo_trl_peer import peer  # needs TRL

    names = ["ours", *asked.against]
    sides = {name: ours(asked) if name == "ours" else peer(name, asked, prompts, reward, None) for name in names}
    found: dict[str, list[Timed]] = {name: [] for name in names}
    for turn in range(asked.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(sides[name]())
            print(turn, name, *(f"{step[3]:.2f}" for step in found[name][-1]), file=sys.stderr)  # noqa: T201
    return found


def seconds(rounds: list[Timed], column: int) -> list[float]:
    """Median step of each round; the first step of a round is not counted where there are others."""
    return [statistics.median(step[column] for step in (steps[1:] or steps)) for steps in rounds]


def ratios(asked: argparse.Namespace, found: dict[str, list[Timed]]) -> dict[str, Any]:
    """Theirs over ours, round by round: the median, the least and the greatest."""
    table: dict[str, Any] = {}
    for name in asked.against:
        table[name] = {"goal": GOAL}
        for column, kind in ((2, "wall"), (3, "cpu")):
            each = [a / b for a, b in zip(seconds(found[name], column), seconds(found["ours"], column), strict=True)]
            table[name][kind] = {"median": statistics.median(each), "least": min(each), "greatest": max(each)}
    return table


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--dtype", default="float32", choices=list(BOUND))
    numbers = {
        "prompts": 2,
        "group": 8,
        "prompt": 64,
        "response": 64,
        "steps": 3,
        "rounds": 3,
        "threads": 1,
        "at-once": 16,
    }
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--learning-rate", type=float, default=1e-5)
    parser.add_argument("--against", default="defaults,best", type=lambda text: text.split(","))
    parser.add_argument("--check", action="store_true", help="compare loss and gradient on the same answers; no timing")
    parser.add_argument("--allocator", default="tuned", choices=["tuned", "default"])
    return parser.parse_args()


def main() -> int:
    asked = options()
    if asked.allocator == "tuned" and any(os.environ.get(name) != value for name, value in TUNED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | TUNED)
    torch.set_num_threads(asked.threads)
    facts = {"torch": torch.__version__, "load": os.getloadavg()[0], **vars(asked)}
    if asked.check:
        said = compared(asked)
        print(json.dumps(facts | said, indent=2))  # noqa: T201
        return int(said["loss_apart"] > BOUND[asked.dtype] or said["norm_apart"] > 10 * BOUND[asked.dtype])
    found = in_turn(asked)
    cpu = {name: statistics.median(seconds(rounds, 3)) for name, rounds in found.items()}
    print(json.dumps(facts | {"cpu_seconds_a_step": cpu, "ratio": ratios(asked, found)}, indent=2))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())

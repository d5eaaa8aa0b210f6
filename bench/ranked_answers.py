"""Cost of K ranked answers to one prompt, forward and backward: the prompt once against once an answer.

    python bench/ranked_answers.py [--model smollm2-135m-instruct|tiny] [--dtype float32] [--prompt 128] [--response 64]
        [--answers 1,2,4,8] [--prompts 1] [--rounds 3] [--threads 1]

Ours: `models.groups.together`, P − 1 + K·R tokens a prompt. Beside it: the same rows padded, each with its prompt,
K·(P + R − 1) tokens. The same head and loss (Σ log π with weights of either sign), in turn, median of the rounds,
CPU-seconds. Compared: log π of every answer and the norm of the gradient, to `BOUND`. `line`: least squares of ours on
a + b·K, and the largest relative distance of a measurement from it. Prints one JSON object; exit 1 where they differ.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from springback.models.answer_head import Asked, terms
from springback.models.group_layout import Group
from springback.models.groups import apart, together
from springback.models.load import load
from springback.models.packing import Inputs
from springback.models.readout import read
from springback.models.rows import Row

BOUND = {"float32": 1e-4, "bfloat16": 3e-2}
"""Largest relative difference of a log-probability or of the gradient's norm."""
Way = Callable[[list[Group]], Inputs]


def groups(asked: argparse.Namespace, answers: int, vocab: int) -> list[Group]:
    draw = torch.Generator().manual_seed(answers)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, vocab, (count,), generator=draw).tolist())

    prompts = [ids(asked.prompt) for _ in range(asked.prompts)]
    return [[Row(prompt, ids(asked.response), 1, 0) for _ in range(answers)] for prompt in prompts]


def step(network: nn.Module, given: list[Group], inputs: Inputs) -> tuple[Tensor, float, float]:
    """Log π of every answer, the gradient's norm, CPU-seconds."""
    network.zero_grad()
    begun = time.process_time()
    reading = read(network, inputs.arguments, inputs.wanted)
    rows = [row for group in given for row in group]
    targets = torch.tensor([token for row in rows for token in row.answer])
    found = terms(reading, Asked(targets)).logprob.view(len(rows), -1).sum(1)
    (found * torch.linspace(-1, 1, len(rows) + 1)[1:]).sum().backward()
    spent = time.process_time() - begun
    norms = [parameter.grad.double().norm() for parameter in network.parameters() if parameter.grad is not None]
    return found.detach(), torch.stack(norms).norm().item(), spent


def measured(network: nn.Module, asked: argparse.Namespace, answers: int) -> dict[str, Any]:
    given = groups(asked, answers, network.config.get_text_config().vocab_size)  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    ways = {"shared": together(network, [[group] for group in given]), "padded": apart(network, given)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results = {}
    for turn in range(asked.rounds + 1):
        for name in sorted(ways, reverse=bool(turn % 2)):
            *results[name], spent = step(network, given, ways[name])
            seconds[name] += [spent] if turn else []  # the first round warms up
    apart_by = max(relative(*pair) for pair in zip(results["shared"], results["padded"], strict=True))
    cost = {name: statistics.median(each) for name, each in seconds.items()}
    tokens = {name: ways[name].arguments["input_ids"].numel() for name in ways}
    return {"answers": answers, "seconds": cost, "tokens": tokens, "ratio": cost["padded"] / cost["shared"],
            "ratio_of_tokens": tokens["padded"] / tokens["shared"], "apart": apart_by}  # fmt: skip


def relative(one: Tensor | float, other: Tensor | float) -> float:
    first, second = torch.as_tensor(one), torch.as_tensor(other)
    return ((first - second).norm() / second.norm()).item()


def line(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Ours as a + b·K."""
    numbers = torch.tensor([[1.0, row["answers"]] for row in rows], dtype=torch.float64)
    seconds = torch.tensor([row["seconds"]["shared"] for row in rows], dtype=torch.float64)
    found = torch.linalg.lstsq(numbers, seconds[:, None]).solution.squeeze(1)
    off = ((numbers @ found - seconds) / seconds).abs().max().item()
    return {"seconds": found[0].item(), "seconds_an_answer": found[1].item(), "largest_distance": off}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--dtype", default="float32", choices=list(BOUND))
    for name, default in {"prompt": 128, "response": 64, "prompts": 1, "rounds": 3, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--answers", default="1,2,4,8", type=lambda text: list(map(int, text.split(","))))
    return parser.parse_args()


def main() -> int:
    asked = options()
    torch.set_num_threads(asked.threads)
    network = load(asked.model, dtype=getattr(torch, asked.dtype)).network.eval().requires_grad_()
    rows = [measured(network, asked, answers) for answers in asked.answers]
    worst = max(row["apart"] for row in rows)
    said = {"torch": torch.__version__, "load": os.getloadavg()[0], **vars(asked), "rows": rows, "line": line(rows)}
    sys.stdout.write(json.dumps(said | {"apart": worst}) + "\n")
    return int(worst > BOUND[asked.dtype])


if __name__ == "__main__":
    sys.exit(main())

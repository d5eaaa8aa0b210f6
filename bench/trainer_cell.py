"""One cell of a grid as a shell loop runs it: a process of its own over `transformers.Trainer`. The peer of
`bench/trainer_loop.py`; imports nothing of springback.

    python bench/trainer_cell.py FOLDER ALIGNED REVERSED

FOLDER holds `model/` in Hugging Face format and `rows.json`. Trains on ALIGNED rows, saves, loads, trains on REVERSED
rows with a fresh optimiser, then reads γ of the held-out answers and KL(start‖θ) along them. The last line that it
prints is one JSON object: loss of every step, both readings, CPU-seconds of each part.
"""

import json
import math
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

PARTS = ("start_up", "train", "load", "gamma", "kl")
READ_AT_ONCE = 8
"""Rows of a forward pass while reading."""


def padded(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    """A batch with the prompt and the padding under no loss."""
    width = max(len(row["prompt"]) + len(row["answer"]) for row in rows)
    ids, labels, real = [], [], []
    for row in rows:
        fill = [0] * (width - len(row["prompt"]) - len(row["answer"]))
        ids.append([*row["prompt"], *row["answer"], *fill])
        labels.append([*[-100] * len(row["prompt"]), *row["answer"], *[-100] * len(fill)])
        real.append([1] * (width - len(fill)) + [0] * len(fill))
    return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels), "attention_mask": torch.tensor(real)}


def train(folder: Path, rows: list[dict[str, Any]], out: Path, asked: dict[str, Any]) -> list[float]:
    """Tune the model of `folder` on the rows in their order, save it to `out`; the loss of every step."""
    arguments = TrainingArguments(
        output_dir=str(out), per_device_train_batch_size=asked["batch"], num_train_epochs=1, learning_rate=asked["lr"],
        lr_scheduler_type="constant", adam_beta1=asked["betas"][0], adam_beta2=asked["betas"][1],
        adam_epsilon=asked["eps"], weight_decay=asked["weight_decay"], max_grad_norm=asked["clip"],
        train_sampling_strategy="sequential", remove_unused_columns=False, logging_steps=1, save_strategy="no",
        report_to="none", disable_tqdm=True, use_cpu=True, dataloader_pin_memory=False,
    )  # fmt: skip
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    trainer = Trainer(network, arguments, data_collator=padded, train_dataset=rows)  # pyright: ignore[reportArgumentType]
    trainer.train()
    trainer.save_model(str(out))
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


@torch.no_grad()
def answer_logprobs(network: nn.Module, rows: list[dict[str, Any]]) -> tuple[Tensor, Tensor]:
    """Next-token log-probabilities at every answer token of a padded batch, and the tokens."""
    batch = padded(rows)
    logits = network(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
    chosen = batch["labels"][:, 1:] != -100
    return logits[chosen].float().log_softmax(-1), batch["labels"][:, 1:][chosen]


def gamma(network: nn.Module, rows: list[dict[str, Any]]) -> float:
    """Code bits of all answers over their bits of text."""
    bits = 0.0
    for first in range(0, len(rows), READ_AT_ONCE):
        logprobs, tokens = answer_logprobs(network, rows[first : first + READ_AT_ONCE])
        bits -= float(logprobs.gather(-1, tokens[:, None]).double().sum()) / math.log(2)
    return bits / sum(8 * row["bytes"] for row in rows)


def kl(start: nn.Module, network: nn.Module, rows: list[dict[str, Any]]) -> float:
    """Mean KL(start‖network) along the rows' answers, bits a token; both networks are evaluated."""
    total, count = 0.0, 0
    for first in range(0, len(rows), READ_AT_ONCE):
        (p, tokens), (q, _) = (answer_logprobs(one, rows[first : first + READ_AT_ONCE]) for one in (start, network))
        total += float((p.exp() * (p - q)).double().sum()) / math.log(2)
        count += len(tokens)
    return total / count


def main() -> None:
    folder, aligned, reversed_ = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    clock = [0.0, time.process_time()]
    asked = json.loads((folder / "rows.json").read_text())
    out = folder / f"cell-{aligned}-{reversed_}"
    losses = train(folder / "model", asked["align"][:aligned], out / "aligned", asked)
    losses += train(out / "aligned", asked["reverse"][:reversed_], out / "reversed", asked)
    clock.append(time.process_time())
    start, network = (
        AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
        for path in (folder / "model", out / "reversed")
    )
    clock.append(time.process_time())
    found = {"losses": losses, "gamma": gamma(network, asked["held_out"])}
    clock.append(time.process_time())
    found["kl"] = kl(start, network, asked["held_out"])
    clock.append(time.process_time())
    parts = dict(zip(PARTS, (end - begin for begin, end in pairwise(clock)), strict=True))
    sys.stdout.write("\n" + json.dumps(found | {"cpu": parts}) + "\n")


if __name__ == "__main__":
    main()

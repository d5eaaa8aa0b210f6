"""The other side of `bench/prefer_trl.py`: TRL's DPOTrainer, on rows that are tokenised already."""

import argparse
import copy
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars  # noqa: TID253  this file is imported where TRL is
from transformers import TrainerCallback
from trl import DPOConfig, DPOTrainer  # noqa: TID253

from springback.models.load import load

SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "best": {"gradient_checkpointing": False, "precompute_ref_log_probs": True},
}
os.environ["TQDM_DISABLE"] = "1"
disable_progress_bars()


class Tokenised(DPOTrainer):
    """TRL's trainer without its tokenising: the data set has its three columns of token ids."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        return dataset

    def _get_train_sampler(self, *_: Any, **__: Any) -> torch.utils.data.Sampler:
        return torch.utils.data.SequentialSampler(self.train_dataset)


class Clock(TrainerCallback):
    """Loss, wall and CPU seconds from the end of a step (the beginning of the first) to the end of the next."""

    def __init__(self) -> None:
        self.steps: list[list[float]] = []
        self.losses: list[float] = []
        self.last: tuple[float, float] | None = None

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.last = self.last or (time.perf_counter(), time.process_time())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        now = (time.perf_counter(), time.process_time())
        assert self.last is not None
        self.steps.append([now[0] - self.last[0], now[1] - self.last[1]])
        self.last = now

    def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
        if "loss" in logs:
            self.losses.append(logs["loss"])


def peer(name: str, asked: argparse.Namespace, pairs: Callable[..., Any]) -> Callable[[], list[Any]]:
    """A function that tunes from the start and says what each step took."""
    model = load(asked.model, dtype=getattr(torch, asked.dtype))
    network, tokenizer = model.network, model.tokenizer
    given = pairs(asked, network.config.vocab_size)
    columns = {
        "prompt_ids": [list(pair.chosen.prompt) for pair in given],
        "chosen_ids": [list(pair.chosen.answer) for pair in given],
        "rejected_ids": [list(pair.rejected.answer) for pair in given],
    }
    start = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    reference = None if SETTINGS[name].get("precompute_ref_log_probs") else copy.deepcopy(network)

    def tune() -> list[Any]:
        network.load_state_dict(start)
        network.requires_grad_()
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            trainer = Tokenised(
                model=network, ref_model=reference, args=config(folder, name, asked), processing_class=tokenizer,
                train_dataset=Dataset.from_dict(columns), callbacks=[clock],
            )  # fmt: skip
            trainer.train()
        return [(loss, *step) for loss, step in zip(clock.losses, clock.steps, strict=True)]

    return tune


def config(folder: str, name: str, asked: argparse.Namespace) -> DPOConfig:
    return DPOConfig(
        output_dir=folder, use_cpu=True, bf16=asked.dtype == "bfloat16", per_device_train_batch_size=asked.batch,
        max_steps=asked.steps, learning_rate=asked.learning_rate, lr_scheduler_type="constant", beta=asked.beta,
        logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
        **SETTINGS[name],
    )  # fmt: skip

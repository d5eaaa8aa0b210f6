"""The other side of `bench/reward_trl.py`: TRL's RewardTrainer, on rows that are tokenised already."""

import argparse
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from datasets import Dataset  # noqa: TID253  this file is imported where TRL is
from prefer_trl_peer import Clock
from trl import RewardConfig, RewardTrainer  # noqa: TID253

from springback.models.reward_model import RewardModel

SETTINGS: dict[str, dict[str, Any]] = {"defaults": {}, "best": {"gradient_checkpointing": False}}


class InOrder(RewardTrainer):
    """TRL's trainer, taking the rows as they come."""

    def _get_train_sampler(self, *_: Any, **__: Any) -> torch.utils.data.Sampler:
        return torch.utils.data.SequentialSampler(self.train_dataset)


def peer(
    name: str, asked: argparse.Namespace, model: RewardModel, pairs: Callable[..., Any]
) -> Callable[[], list[Any]]:
    """A function that trains from the start and says what each step took."""
    network = model.network.to(getattr(torch, asked.dtype))
    given = pairs(asked, network.config.vocab_size)
    columns = {
        "chosen_ids": [[*pair.chosen.prompt, *pair.chosen.answer] for pair in given],
        "rejected_ids": [[*pair.rejected.prompt, *pair.rejected.answer] for pair in given],
    }
    start = {key: tensor.clone() for key, tensor in network.state_dict().items()}

    def tune() -> list[Any]:
        network.load_state_dict(start)
        network.requires_grad_(requires_grad=True)
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            trainer = InOrder(
                model=network, args=config(folder, name, asked), processing_class=model.language.tokenizer,
                train_dataset=Dataset.from_dict(columns), callbacks=[clock],
            )  # fmt: skip
            trainer.train()
        return [(loss, *step) for loss, step in zip(clock.losses, clock.steps, strict=True)]

    return tune


def config(folder: str, name: str, asked: argparse.Namespace) -> RewardConfig:
    return RewardConfig(
        output_dir=folder, use_cpu=True, bf16=asked.dtype == "bfloat16", per_device_train_batch_size=asked.batch,
        max_steps=asked.steps, learning_rate=asked.learning_rate, lr_scheduler_type="constant", logging_steps=1,
        save_strategy="no", report_to="none", disable_tqdm=True, dataloader_pin_memory=False, **SETTINGS[name],
    )  # fmt: skip

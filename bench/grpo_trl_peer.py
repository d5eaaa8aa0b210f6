"""The other side of `bench/grpo_trl.py`: TRL's GRPOTrainer, on prompts that are tokenised already."""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars  # noqa: TID253
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer  # noqa: TID253

from springback.models.load import load
from springback.models.tiny import save_folder

SETTINGS: dict[str, dict[str, Any]] = {"defaults": {}, "best": {"gradient_checkpointing": False}}
os.environ |= {"TQDM_DISABLE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
disable_progress_bars()


class Clock(TrainerCallback):
    """Loss, gradient norm, wall and CPU seconds of each step."""

    def __init__(self) -> None:
        self.spent: list[tuple[float, float]] = []
        self.norms: list[float] = []
        self.last: tuple[float, float] | None = None

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.last = (time.perf_counter(), time.process_time())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        now = (time.perf_counter(), time.process_time())
        assert self.last is not None
        self.spent.append((now[0] - self.last[0], now[1] - self.last[1]))
        self.last = now

    def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
        if "grad_norm" in logs:
            self.norms.append(float(logs["grad_norm"]))


class Tokenised(GRPOTrainer):
    """TRL's trainer whose prompts are numbers of tokenised ones; every loss is kept as it is, before it is rounded."""

    given: list[tuple[int, ...]]
    losses: list[float]

    def _tokenize_prompts(self, prompts: list[str]) -> Any:
        return [list(self.given[int(number)]) for number in prompts], None, {}

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        loss = super()._compute_loss(model, inputs)
        self.losses.append(float(loss.detach()))
        return loss


def peer(
    name: str,
    asked: argparse.Namespace,
    prompts: Callable[..., Any],
    reward: Callable[..., float],
    answers: Any,
) -> Callable[[], list[Any]]:
    """A function that tunes from the start and says what each step took; on `answers` where they are given."""
    model = load(asked.model, dtype=getattr(torch, asked.dtype))
    network, tokenizer = model.network, model.tokenizer
    given = prompts(asked, network.config.vocab_size)
    data = Dataset.from_dict({"prompt": [str(number) for number in range(len(given))]})
    start = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    network.requires_grad_(requires_grad=True)

    def reward_of(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [reward(ids) for ids in completion_ids]

    def tune() -> list[Any]:
        network.load_state_dict(start)
        clock, steps = Clock(), iter(answers or [])
        with tempfile.TemporaryDirectory() as folder:  # TRL reads its reference from the folder that the model names
            network.config._name_or_path = str(model.path or save_folder(model, Path(folder) / "start"))
            trainer = Tokenised(
                model=network, args=config(folder, name, asked), processing_class=tokenizer, train_dataset=data,
                reward_funcs=reward_of, callbacks=[clock],
                rollout_func=None if answers is None else lambda *_: replayed(next(steps)),
            )  # fmt: skip
            trainer.given, trainer.losses = given, []
            trainer.train()
        found = zip(trainer.losses, clock.norms, clock.spent, strict=True)
        return [(loss, norm, *spent) for loss, norm, spent in found]

    return tune


def replayed(step: Any) -> dict[str, Any]:
    """TRL's own form of answers that were written elsewhere."""
    return {
        "prompt_ids": [list(prompt) for prompt, _ in step],
        "completion_ids": [list(answer) for _, answer in step],
        "logprobs": None,
    }


def config(folder: str, name: str, asked: argparse.Namespace) -> GRPOConfig:
    return GRPOConfig(
        output_dir=folder, per_device_train_batch_size=asked.prompts * asked.group, num_generations=asked.group,
        steps_per_generation=1, max_steps=asked.steps, max_completion_length=asked.response, beta=0.04,
        loss_type="grpo", use_bias_correction_kl=False, temperature=1.0, top_k=0, shuffle_dataset=False,
        generation_kwargs={"min_new_tokens": asked.response}, learning_rate=asked.learning_rate,
        lr_scheduler_type="constant", adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-8, weight_decay=0.0,
        max_grad_norm=1.0, logging_steps=1, save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True,
        bf16=False, **SETTINGS[name],
    )  # fmt: skip

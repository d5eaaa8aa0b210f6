"""A reward model's folder as a reward: its score of the whole conversation with the answer.

The text is tokenised by the reward model's own template, so policy and reward model may have other tokenizers. An
answer that was cut off is scored as if it had ended there.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from springback.models.reward_folder import load
from springback.models.reward_model import Asked, frozen, scores
from springback.models.rollout import Completion


def folder(path: Path, device: str) -> Callable[[Sequence[Completion]], list[float]]:
    """The model of the folder, in float32."""
    model = frozen(load(str(path), dtype=torch.float32, device=device))
    return lambda completions: scores(model, [(_turns(one), one.text) for one in completions])


def _turns(one: Completion) -> Asked:
    return [dict(turn) for turn in one.turns] or one.prompt

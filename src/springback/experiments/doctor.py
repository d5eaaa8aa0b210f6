"""Known silent failures of language-model tools, tried on one model: each passes, fails or is skipped, with a why."""

from collections.abc import Callable
from typing import Final

import torch

from springback.errors import RefusedError
from springback.experiments.traps import folder, numbers, text
from springback.experiments.traps.check import Check, Found
from springback.models.language_model import LanguageModel

CHECKS: Final[tuple[Callable[[LanguageModel], Found], ...]] = (
    folder.complete_weights,
    folder.finite_weights,
    folder.rope,
    folder.generation_defaults,
    text.stop_token,
    text.default_system_prompt,
    text.one_beginning,
    text.joint_tokens,
    text.text_returns,
    text.template_clock,
    numbers.right_padding,
    numbers.left_padding,
    numbers.cache,
    numbers.deterministic,
    numbers.final_norm,
)


def check_model(model: LanguageModel) -> list[Check]:
    """Every check in turn, named after its function. What one cannot do is a fail that says so, never a crash."""
    with torch.inference_mode():
        return [_guarded(check, model) for check in CHECKS]


def _guarded(check: Callable[[LanguageModel], Found], model: LanguageModel) -> Check:
    try:
        found = check(model)
    except RefusedError as error:
        found = Found("fail", error.message)
    except Exception as error:  # an architecture may do anything; the report goes on
        found = Found("fail", f"{type(error).__name__}: {str(error)[:200]}")
    return Check(check.__name__, *found)

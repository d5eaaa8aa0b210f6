"""A stranger's rewards, checked: one number for each completion, or the reason why not.

None, NaN and an infinity mean "no reward": the answer is left out of training and counted. Another count than that of
the completions, a text, or an exception refuses the run and names the reward and, where there is one, the completion.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from springback.errors import RefusedError
from springback.models.rollout import Completion

Source = Callable[[Sequence[Completion]], Any]
"""Rewards in the completions' order, higher is better."""


@dataclass(frozen=True, slots=True)
class Reward:
    """Call it with completions; `name` is what a refusal and a page call it."""

    name: str
    source: Source
    option: str = "--reward"

    def __call__(self, completions: Sequence[Completion]) -> list[float | None]:
        """One number a completion, higher is better; None where there is none."""
        if not completions:
            return []
        values = self._asked(completions)
        if len(values) != len(completions):
            self.refuse(f"gave {len(values)} numbers for {len(completions)} completions")
        return [self._number(value, one) for value, one in zip(values, completions, strict=True)]

    def refuse(self, why: str, error: Exception | None = None) -> NoReturn:
        """RefusedError (kind `reward`)."""
        raise RefusedError(
            f"The reward {self.name} {why}.", kind="reward", where=f"{self.option} {self.name}",
            next="Let it give one finite number (or null) for each completion, in their order.",
        ) from error  # fmt: skip

    def _asked(self, completions: Sequence[Completion]) -> list[Any]:
        try:
            return list(self.source(list(completions)))
        except RefusedError:
            raise
        except Exception as error:  # noqa: BLE001, RUF100  whatever a stranger's code raises
            self.refuse(f"failed: {type(error).__name__}: {error}", error)

    def _number(self, value: Any, one: Completion) -> float | None:
        if value is None:
            return None
        try:
            number = math.nan if isinstance(value, str | bytes) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if isinstance(value, str | bytes) or (math.isnan(number) and not _is_nan(value)):
            self.refuse(f"gave {value!r:.60} for the completion {one.text!r:.80} to {one.prompt!r:.60}")
        return number if math.isfinite(number) else None


def _is_nan(value: Any) -> bool:
    return bool(value != value)

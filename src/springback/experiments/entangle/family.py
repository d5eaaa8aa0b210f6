"""What each loss of the family, and each cure, would do on these very pairs: each pair's own term, at these numbers.

Every loss is taken at its defaults and at the stored log-probabilities, so a loss with running statistics is in its
first step. What cannot be described by two numbers a pair, or needs more than pairs hold, is named with the reason.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from springback.experiments.entangle import cures, pulls
from springback.experiments.entangle.agreement import share
from springback.experiments.entangle.cures import Pulls
from springback.train.preference import LOSSES
from springback.train.preference.pairs import Both, PairLogprobs

Bodies = Sequence[Mapping[str, Any]]
Batches = Sequence[Sequence[int]]


def losses(pairs: Bodies, batches: Batches) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, row) of every loss of the family at its defaults, in the family's order."""
    numbers = _Numbers.of(pairs)
    for name, made in LOSSES.items():
        yield name, _row(lambda made=made: _of_member(made(), numbers, batches), numbers.gram)


def cured(named: str, pairs: Bodies) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, row) of the asked loss by itself, then under each cure."""
    numbers = _Numbers.of(pairs)
    stored = Pulls(*(np.array([pair[name] for pair in pairs], dtype=np.float64) for name in ("d_w", "d_l")))
    yield named, _row(lambda: stored, numbers.gram)
    for cure, (change, note) in cures.CURES.items():
        row = _row(lambda change=change: change(stored, numbers.gram), numbers.gram)
        yield f"{named} + {cure}", {**row, "note": note}


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The stored pairs as a loss and as a cure are given them, float64."""

    policy: PairLogprobs
    reference: PairLogprobs
    gram: cures.Numbers

    @classmethod
    def of(cls, pairs: Bodies) -> "_Numbers":
        policy, reference = (
            _logprobs(pairs, "chosen", "rejected"),
            _logprobs(pairs, "reference_chosen", "reference_rejected"),
        )
        column = lambda name: np.array([pair[name] for pair in pairs], dtype=np.float64)
        above = (policy.chosen - reference.chosen).numpy()
        tokens = policy.lengths.chosen.numpy()
        return cls(policy, reference, cures.Numbers(column("ww"), column("ll"), column("wl"), above, tokens))


def _logprobs(pairs: Bodies, chosen: str, rejected: str) -> PairLogprobs:
    of = lambda part, name: torch.tensor([float(pair[part][name]) for pair in pairs], dtype=torch.float64)
    tokens = Both(of("tokens", "chosen"), of("tokens", "rejected"))
    return PairLogprobs(of("logprobs", chosen), of("logprobs", rejected), tokens=tokens)


def _of_member(method: Any, numbers: _Numbers, batches: Batches) -> Pulls:
    if (why := pulls.why_not(method)) is not None:
        raise ValueError(why)
    asked = pulls.asked(method, named="")
    if asked.collision:
        raise ValueError("it needs log Σ π² of every token, which is read for the asked loss only")
    places = [list(range(len(numbers.policy.chosen)))] if asked.alone else batches
    found = pulls.in_batches(asked.loss, numbers.policy, numbers.reference, places)
    order = np.argsort(np.concatenate([np.asarray(batch) for batch in places]))
    return Pulls(found.chosen.numpy()[order], found.rejected.numpy()[order])


def _row(pulled: Callable[[], Pulls], of: cures.Numbers) -> dict[str, Any]:
    """Shares of pairs, or why there are none."""
    try:
        pull = pulled()
    except (ValueError, TypeError, AttributeError, ArithmeticError, KeyError, AssertionError) as error:
        return {"evaluated": False, "why": str(error) or type(error).__name__}
    chosen, rejected = pull.changes(of)
    can = np.maximum(of.ww, of.ll) > 0
    return {
        "evaluated": True, "n": int(can.sum()),
        "d_w": _middle(pull.chosen), "d_l": _middle(pull.rejected),
        "chosen_falls": share((chosen < 0)[can], over="pairs").json(),
        "rejected_rises": share((rejected > 0)[can], over="pairs").json(),
        "margin_shrinks": share((chosen - rejected < 0)[can], over="pairs").json(),
    }  # fmt: skip


def _middle(values: cures.Values) -> float:
    return float(np.median(values))

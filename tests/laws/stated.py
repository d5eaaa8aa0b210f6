"""The laws, each a question about one batch. `test_preference_losses.py` asks them of every member."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import torch
from tests.laws.family import Numbers, losses, weights

from springback.train.preference import LOSSES

STEP: Final = 1e-5
"""Nats, of a finite difference."""


def log_2_at_the_reference(name: str, pairs: Numbers) -> bool:
    found = losses(name, pairs.at_the_reference())
    return torch.allclose(found, torch.full_like(found, math.log(2)), rtol=0, atol=1e-9)


def raises_the_chosen_answer(name: str, pairs: Numbers) -> bool:
    return bool((weights(name, pairs.at_the_reference())[0] > 0).all())


def lowers_the_rejected_answer(name: str, pairs: Numbers) -> bool:
    return bool((weights(name, pairs.at_the_reference())[1] > 0).all())


def pushes_the_right_way_everywhere(name: str, pairs: Numbers) -> bool:
    return all(bool((push >= -1e-12).all()) for push in weights(name, pairs))


def only_the_margin_matters(name: str, pairs: Numbers) -> bool:
    down = torch.linspace(0.3, 1.7, len(pairs.chosen), dtype=torch.float64)
    moved = replace(pairs, chosen=pairs.chosen - down, rejected=pairs.rejected - down)
    return same(losses(name, pairs), losses(name, moved))


def each_pair_alone(name: str, pairs: Numbers) -> bool:
    few = 3
    return same(losses(name, pairs)[:few], torch.cat([losses(name, pairs.pair(i)) for i in range(few)]))


def the_gradient_is_the_slope(name: str, pairs: Numbers) -> bool:
    rounding = 1e-6 + 1e-9 * losses(name, pairs).abs().max()
    return all(
        bool(((push - slope).abs() <= rounding + 1e-5 * push.abs()).all())
        for push, slope in zip(weights(name, pairs), central_differences(name, pairs), strict=True)
    )


def length_does_not_matter(name: str, pairs: Numbers) -> bool:
    otherwise = replace(pairs, chosen_tokens=pairs.chosen_tokens + 3, rejected_tokens=pairs.rejected_tokens.flip(0) + 1)
    return same(losses(name, pairs), losses(name, otherwise))


def repetition_does_not_matter(name: str, pairs: Numbers) -> bool:
    return same(losses(name, pairs), losses(name, Numbers(*(2 * getattr(pairs, key) for key in Numbers.__slots__))))


def the_reference_does_not_matter(name: str, pairs: Numbers) -> bool:
    other = replace(pairs, ref_chosen=pairs.ref_rejected - 1.3, ref_rejected=pairs.ref_chosen)
    return same(losses(name, pairs), losses(name, other))


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-8, atol=1e-8)


def central_differences(name: str, pairs: Numbers) -> list[torch.Tensor]:
    """d_w and d_l, each from two values of the loss: all pairs move at once unless they share something."""
    together = "each pair alone" not in LOSSES[name].breaks
    moves = torch.ones(1, len(pairs.chosen)) if together else torch.eye(len(pairs.chosen))
    total = (lambda found: found) if together else (lambda found: found.sum())
    slopes = []
    for key, sign in (("chosen", -1), ("rejected", 1)):
        ends = [
            [total(losses(name, shifted(pairs, key, by * move))) for by in (STEP, -STEP)] for move in moves.double()
        ]
        found = [sign * (up - down) / (2 * STEP) for up, down in ends]
        slopes.append(found[0] if together else torch.stack(found))
    return slopes


def shifted(pairs: Numbers, key: str, by: torch.Tensor) -> Numbers:
    return replace(pairs, **{key: getattr(pairs, key) + by})


UNIVERSAL: Final[dict[str, Callable[[str, Numbers], bool]]] = {
    "log 2 at the reference": log_2_at_the_reference,
    "raises the chosen answer": raises_the_chosen_answer,
    "lowers the rejected answer": lowers_the_rejected_answer,
    "pushes the right way everywhere": pushes_the_right_way_everywhere,
    "only the margin matters": only_the_margin_matters,
    "each pair alone": each_pair_alone,
    "the gradient is the slope": the_gradient_is_the_slope,
    "length does not matter": length_does_not_matter,
    "repetition does not matter": repetition_does_not_matter,
}
"""Laws that hold of every batch. The last one, `the reference matters`, holds where some batch shows it."""

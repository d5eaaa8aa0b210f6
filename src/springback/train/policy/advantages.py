"""How much better an answer or a token was than expected. All without gradient, all over the whole batch.

Answers belong together by the number of their prompt, wherever they stand in the batch. A group whose rewards are all
equal says nothing: its advantages are exactly 0, not rounding divided by a small number. A group of one says nothing
either, and gets 0 (its reward less its own mean), never its raw reward.
"""

from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from springback.train.policy.written import PerAnswer, PerToken

ROUNDING: Final = 16
"""Units of rounding of their mean size below which rewards do not differ."""
NORMALISER: Final = 1e-4
"""Added to a group's standard deviation (as TRL does; the papers write none)."""

Group = Int[Tensor, " answer"]
Real = Bool[Tensor, "answer time"]


def group_mean(rewards: PerAnswer, group: Group) -> PerAnswer:
    """Mean reward of the answers to the same prompt, for each answer."""
    return _sums(rewards, group) / _sizes(rewards, group)


def group_std(rewards: PerAnswer, group: Group) -> PerAnswer:
    """Standard deviation (n − 1) of the rewards of the same prompt; 0 for a group of one, or of equal rewards."""
    squares = _sums((rewards - group_mean(rewards, group)).square(), group)
    std = (squares / (_sizes(rewards, group) - 1).clamp(min=1)).sqrt()
    return torch.where(std > _rounding(group_mean(rewards.abs(), group)), std, 0.0)


def centred(rewards: PerAnswer, group: Group) -> PerAnswer:
    """Reward less the mean of its group (Dr. GRPO)."""
    return torch.where(group_std(rewards, group) > 0, rewards - group_mean(rewards, group), 0.0)


def standardised(rewards: PerAnswer, group: Group) -> PerAnswer:
    """(r − mean) / (std + 1e-4) of its group (GRPO)."""
    return centred(rewards, group) / (group_std(rewards, group) + NORMALISER)


def leave_one_out(rewards: PerAnswer, group: Group) -> PerAnswer:
    """Reward less the mean of the *other* answers to its prompt (RLOO): (r − mean)·n / (n − 1)."""
    sizes = _sizes(rewards, group)
    return centred(rewards, group) * sizes / (sizes - 1).clamp(min=1)


def whitened(advantages: PerToken, real: Real) -> PerToken:
    """Less their mean over all real tokens of the batch, by their standard deviation; 0 where all are equal."""
    values = advantages[real]
    spread = values.std() if len(values) > 1 else torch.zeros_like(values.sum())
    if not bool(spread > _rounding(values.abs().mean())):
        return torch.zeros_like(advantages)
    return torch.where(real, (advantages - values.mean()) / (spread + 1e-8), 0.0)


def on_each_token(by_answer: PerAnswer, real: Real) -> PerToken:
    """An answer's number on each of its tokens."""
    return torch.where(real, by_answer[:, None], 0.0)


def at_the_end(by_answer: PerAnswer, real: Real) -> PerToken:
    """An answer's number on its last token (the stop token where it ended), 0 elsewhere; never on padding."""
    last = real.sum(dim=1) - 1
    return torch.zeros(real.shape, dtype=by_answer.dtype, device=real.device).scatter(
        1, last[:, None], by_answer[:, None]
    )


def to_go(by_token: PerToken, gamma: float = 1.0) -> PerToken:
    """Σ_{s ≥ t} γ^{s−t} r_s."""
    return _backwards(by_token, gamma)


def generalised(rewards: PerToken, values: PerToken, real: Real, *, gamma: float, lam: float) -> PerToken:
    """Generalised advantage estimation: Σ_s (γλ)^s δ_{t+s} with δ_t = r_t + γ·V_{t+1} − V_t, V = 0 behind the end."""
    inside = torch.where(real, values, 0.0)
    following = torch.cat([inside[:, 1:], torch.zeros_like(inside[:, :1])], dim=1)
    deltas = torch.where(real, rewards + gamma * following - inside, 0.0)
    return torch.where(real, _backwards(deltas, gamma * lam), 0.0)


def _backwards(by_token: PerToken, decay: float) -> PerToken:
    running, found = torch.zeros_like(by_token[:, 0]), []
    for column in by_token.flip(1).unbind(1):
        running = column + decay * running
        found.append(running)
    return torch.stack(found, dim=1).flip(1)


def _rounding(size: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    return ROUNDING * torch.finfo(size.dtype).eps * size


def _sums(values: PerAnswer, group: Group) -> PerAnswer:
    _, place = group.unique(return_inverse=True)
    sums = torch.zeros(len(group), dtype=values.dtype, device=values.device).index_add(0, place, values)
    return sums[place]


def _sizes(values: PerAnswer, group: Group) -> Float[Tensor, " answer"]:
    return _sums(torch.ones_like(values), group)

"""How far two next-token distributions are apart, exactly over the vocabulary, position by position."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

NATS_TO_BITS = 1.4426950408889634
"""1 / ln 2."""
CELLS = 2**24
"""Probabilities handled at one time: 64 MiB in float32."""


def kl_bits(p_logits: Float[Tensor, "time vocab"], q_logits: Float[Tensor, "time vocab"]) -> Float64[Tensor, " time"]:
    """KL(p‖q) of each position in bits, p first: Σ p · (log₂ p − log₂ q). On the CPU.

    Log-softmax in float32, the sum in float64; within 1e-5 bits of float64 throughout. Exactly 0 for equal logits,
    infinite where q gives nothing to what p may say. Along samples of p, the sum over positions is the sequence's KL.
    """
    if p_logits.shape != q_logits.shape:
        raise ValueError(f"Both sides need the same positions and vocabulary: {p_logits.shape}, {q_logits.shape}.")
    rows = max(1, CELLS // max(1, p_logits.shape[-1]))
    parts = [_kl(p, q) for p, q in zip(p_logits.split(rows), q_logits.split(rows), strict=True)]
    return torch.cat(parts) * NATS_TO_BITS if parts else torch.zeros(0, dtype=torch.float64)


def _kl(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    p, q = p_logits.float().log_softmax(dim=-1), q_logits.to(p_logits.device).float().log_softmax(dim=-1)
    terms = torch.where(torch.isneginf(p), 0.0, p.exp() * (p - q))
    return terms.cpu().sum(dim=-1, dtype=torch.float64)


def rank_of(logits: Float[Tensor, "time vocab"], tokens: Int[Tensor, " time"]) -> Int[Tensor, " time"]:
    """Rank of a token at each position, 1 = likeliest. Equal logits share the better rank."""
    own = logits.gather(-1, tokens[:, None].to(logits.device))
    return (logits > own).sum(dim=-1) + 1


def rank_shift(
    start_logits: Float[Tensor, "time vocab"], model_logits: Float[Tensor, "time vocab"]
) -> Int[Tensor, " time"]:
    """Rank under the start of the token that the model likes best: 1 = unshifted, 2 and 3 = marginal, more = shifted.

    Lin et al. 2023, *The Unlocking Spell on Base LLMs* (arXiv 2312.01552, section 2.2), where the token is the one that
    the aligned model decodes greedily; here too, but along any given text, sampled ones included.
    """
    return rank_of(start_logits, model_logits.argmax(dim=-1))


class Shift(NamedTuple):
    """Shares of positions by `rank_shift`; they sum to 1."""

    unshifted: float
    """Rank 1."""
    marginal: float
    """Rank 2 or 3."""
    shifted: float
    """Rank above 3."""

    def json(self) -> dict[str, float]:
        """As `position` records carry it."""
        return {"1": self.unshifted, "2_3": self.marginal, "over_3": self.shifted}


def shift_shares(ranks: Int[Tensor, " position"]) -> Shift:
    """Shares of the three classes over at least one position."""
    if not len(ranks):
        raise ValueError("Shares of no positions are undefined.")
    one, over = float((ranks == 1).double().mean()), float((ranks > 3).double().mean())
    return Shift(one, max(0.0, 1 - one - over), over)


class Top(NamedTuple):
    """The likeliest tokens, likeliest first."""

    tokens: Int[Tensor, "time k"]
    probabilities: Float[Tensor, "time k"]


def top_k(logits: Float[Tensor, "time vocab"], k: int) -> Top:
    """The `k` likeliest next tokens of each position, with float32 probabilities."""
    probabilities, tokens = logits.float().softmax(dim=-1).topk(min(k, logits.shape[-1]), dim=-1)
    return Top(tokens, probabilities)

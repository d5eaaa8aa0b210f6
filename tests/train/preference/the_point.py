"""The point of the known values: a = 0.7, b = −0.9, 7 and 9 equally likely tokens."""

import torch
from tests.laws.family import Numbers, losses, weights
from torch import Tensor


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


POINT = Numbers(
    chosen=tensor(-12.3),
    rejected=tensor(-15.1),
    ref_chosen=tensor(-13.0),
    ref_rejected=tensor(-14.2),
    chosen_tokens=tensor(7),
    rejected_tokens=tensor(9),
)


def at_the_point(method: object) -> tuple[float, float, float]:
    """Loss, d_w and d_l per unit of summed log-probability."""
    d_w, d_l = weights("", POINT, method)
    return losses("", POINT, method).item(), d_w.item(), d_l.item()

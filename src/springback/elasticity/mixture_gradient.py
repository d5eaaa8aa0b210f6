"""Theorem 4.2 by automatic differentiation: γ written in torch, differentiated in l. Knows no closed form."""

import math

import torch

from springback.elasticity.mixture import Mixture, Rates


def autograd(mixture: Mixture) -> Rates:
    """dγ/dl of D_p, D_a and D_t in float64: bits per source symbol, per unit of l."""
    sets = torch.from_numpy(mixture.sources.data_sets)
    pretraining, aligned, reversal = sets
    l = torch.tensor(mixture.l, dtype=torch.float64, requires_grad=True)  # noqa: E741
    q = (mixture.k * pretraining + aligned + l * reversal) / (mixture.k + 1 + l)
    held = q.detach() > 0
    gammas = -(sets[:, held] @ q[held].log()) / (mixture.sources.depth * math.log(2))
    return Rates(*(float(torch.autograd.grad(gamma, l, retain_graph=True)[0]) for gamma in gammas))

"""One real step is the textbook's: against torch's own optimisers and clipping."""

import copy

import pytest
import torch

from springback.experiments.entangle import descent
from springback.experiments.entangle.config import Entangle
from springback.fit.loop import Summed
from springback.tensors.seed import seeded

RATE = 0.01


def network():
    with seeded(0):
        return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))


def batch():
    return [torch.tensor([float(i), 1.0, -1.0]) for i in range(4)]


def loss_of(net):
    return lambda part: Summed(net(torch.stack(list(part))).exp().sum().double(), float(len(part)), len(part))


def stepped(config, *, parts=None):
    net = network()
    before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    done = descent.step(net, loss_of(net), parts or [batch()], config, RATE)
    return done, descent.moved(net, before)


def by_torch(make, *, clip=None):
    net = network()
    before = copy.deepcopy(net)
    net(torch.stack(batch())).exp().mean().backward()
    if clip:
        torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
    make(net.parameters()).step()
    return {name: weight.detach() - before.get_parameter(name) for name, weight in net.named_parameters()}


def decayed(parameters):
    """Decoupled: SGD of torch adds its decay to the gradient, which for plain descent is the same."""
    return torch.optim.SGD(parameters, lr=RATE, weight_decay=0.1)


@pytest.mark.parametrize(
    ("options", "make", "clip"),
    [
        ({}, lambda p: torch.optim.SGD(p, lr=RATE), None),
        ({"weight_decay": 0.1}, decayed, None),
        ({"clip": 0.05}, lambda p: torch.optim.SGD(p, lr=RATE), 0.05),
        ({"optimizer": "adamw"}, lambda p: torch.optim.AdamW(p, lr=RATE, betas=(0.9, 0.95), weight_decay=0), None),
        ({"optimizer": "adamw", "weight_decay": 0.3},
         lambda p: torch.optim.AdamW(p, lr=RATE, betas=(0.9, 0.95), weight_decay=0.3), None),
    ],
)  # fmt: skip
def test_a_step_is_torch_s_own(options, make, clip):
    _, found = stepped(Entangle(**options))
    expected = by_torch(make, clip=clip)
    for name, delta in found.items():
        assert torch.allclose(delta, expected[name], rtol=1e-4, atol=1e-8), name


def test_a_batch_in_two_parts_is_the_batch():
    whole, parts = stepped(Entangle()), stepped(Entangle(), parts=[batch()[:1], batch()[1:]])
    assert whole[0].loss == pytest.approx(parts[0].loss)
    assert all(torch.allclose(delta, parts[1][name], atol=1e-7) for name, delta in whole[1].items())

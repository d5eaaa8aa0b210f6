"""Which cures can be split over processes: those whose gradients add up, and which learn nothing from a batch."""

import pytest
import torch

from springback.data.choices import Choice
from springback.data.records import Message
from springback.experiments.prefer.ranks import WHOLE
from springback.fit.masters import MasterAdamW
from springback.models.pair_tokens import item_of
from springback.models.tiny import tiny
from springback.train.cures.choose import CURES, cure_named
from springback.train.preference import DPO
from springback.train.preference_step import Batch, PreferenceStep
from springback.train.reference import SecondModel


@pytest.fixture(scope="module")
def world():
    model = tiny(layers=1, hidden=32, heads=2, scale=0.2)
    texts = [("yes", "no"), ("yes, yes", "yes, no"), ("a", "bbbbbb"), ("it is so", "it is")]
    items = [item_of(model, Choice((Message("user", f"{i}?"),), *both, "f:1")) for i, both in enumerate(texts)]
    model.network.requires_grad_(requires_grad=True)
    return model.network, tiny(1, layers=1, hidden=32, heads=2, scale=0.2).network, tuple(items)


def stepped(world, name, parts):
    """Summed gradients of one step, each part by a process of its own, and what every cure has learned from it."""
    network, reference, items = world
    whole, learned = Batch(tuple(range(len(items))), items), []
    network.zero_grad()
    for part in parts:
        cure = cure_named(name, DPO()).begin(network, MasterAdamW(network))
        cure.prepare(network, items)
        step = PreferenceStep(DPO(beta=0.5), SecondModel(reference), cure)
        step(network, whole[part]).total.backward()
        step.advance()
        learned.append(cure.tensors())
    return torch.cat([weight.grad.flatten() for weight in network.parameters()]), learned


def apart(one, other):
    return any(not torch.allclose(one[name].double(), other[name].double(), rtol=1e-4, atol=1e-7) for name in one)


@pytest.mark.parametrize("name", CURES)
def test_two_halves_of_a_batch_are_the_whole_one_but_for_what_a_refused_cure_learns(world, name):
    ours, (learned,) = stepped(world, name, [slice(None)])
    theirs, halves = stepped(world, name, [slice(0, None, 2), slice(1, None, 2)])
    assert float((ours - theirs).norm()) <= 1e-5 * float(ours.norm())
    assert any(apart(learned, half) for half in halves) is issubclass(CURES[name], WHOLE)

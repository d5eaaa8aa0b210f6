import torch
from torch import nn

from springback.fit.checks import STEPS, FirstSteps, fingerprint
from springback.fit.loop import Fit, Summed, fit
from springback.fit.masters import MasterAdamW


class Product(nn.Module):
    """y = b·(a·x) + c, with d beside the path: where b is 0, a has no gradient."""

    def __init__(self, b: float):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.ones(3)), nn.Parameter(torch.full((3,), b))
        self.c, self.d = nn.Parameter(torch.zeros(())), nn.Parameter(torch.ones(2))

    def loss(self, batch):
        return Summed((batch * self.a * self.b + self.c - 1).square().sum(), len(batch), len(batch))


def report(network: nn.Module, *, needed: int, steps: int = 3, lr: float = 0.1):
    first = FirstSteps(MasterAdamW(network), needed=needed)
    batches = torch.randn(steps, 4, 3, generator=torch.Generator().manual_seed(0))
    seen = list(first.watch(fit(network.loss, batches, first.optimizer, Fit(lr=lr))))
    assert len(seen) == steps
    return first.report


def test_a_tensor_off_the_path_is_named():
    found = report(Product(1.0), needed=1)
    assert (found.tensors_total, found.moved) == (4, 3)
    assert [(stuck.name, stuck.why) for stuck in found.stuck] == [("d", "no gradient other than 0")]
    assert not found.ok


def test_a_zero_factor_needs_two_steps_as_in_lora():
    network = Product(0.0)
    network.d.requires_grad_(False)
    assert [stuck.name for stuck in report(network, needed=STEPS["full"]).stuck] == ["a"]
    network = Product(0.0)
    network.d.requires_grad_(False)
    found = report(network, needed=STEPS["lora"])
    assert found.ok
    assert (found.moved, found.tensors_total) == (3, 3)


def test_a_gradient_without_a_movement_is_named():
    network = Product(1.0)
    network.d.requires_grad_(False)
    found = report(network, needed=1, lr=1e-30)
    assert {stuck.name: stuck.why for stuck in found.stuck}["a"] == "a gradient, but its values did not change"


def test_fewer_steps_than_needed_are_not_reportable():
    network = Product(1.0)
    network.d.requires_grad_(False)
    found = report(network, needed=2, steps=1)
    assert not found.stuck
    assert not found.ok


def test_later_steps_are_not_watched():
    assert report(Product(1.0), needed=1).steps == 1


def test_a_fingerprint_sees_a_single_bit_in_every_dtype():
    for dtype in (torch.float32, torch.float64):
        tensor = torch.randn(1000, generator=torch.Generator().manual_seed(0)).to(dtype)
        before = fingerprint(tensor)
        assert fingerprint(tensor.clone()) == before
        tensor[500] = torch.nextafter(tensor[500], tensor.new_tensor(9.0))
        assert fingerprint(tensor) != before

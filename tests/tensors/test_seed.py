import pytest
import torch

from springback.tensors.seed import seeded


def test_the_same_seed_gives_the_same_draws():
    with seeded(3):
        first = torch.rand(4)
    with seeded(3):
        assert torch.equal(torch.rand(4), first)
    with seeded(4):
        assert not torch.equal(torch.rand(4), first)


def test_outside_it_is_as_if_nothing_had_been_drawn():
    before = torch.get_rng_state()
    with seeded(0):
        torch.rand(9)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(RuntimeError, match="shape"), seeded(0):
        torch.rand(9).reshape(4, 4)
    assert torch.equal(torch.get_rng_state(), before)

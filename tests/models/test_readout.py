import pytest
import torch
from tests.models.tiny_networks import network, plain_logits, tokens
from torch.testing import assert_close

from springback.models.readout import quiet, read, route

IDS = tokens(7, 1)
ROUTES = {
    "llama": "head",
    "gpt2": "head",
    "opt": "head",
    "gemma3 (window 6)": "head",
    "gemma2 (capped logits, window 6)": "keep",
    "granite (scaled logits)": "keep",
}


@pytest.mark.parametrize("name", ROUTES)
def test_the_head_alone_is_used_only_where_it_makes_the_logits(name):
    assert route(network(name)) == ROUTES[name]


def test_a_cap_is_seen_although_these_logits_do_not_feel_it():
    built = network("gemma2 (capped logits, window 6)")
    with torch.no_grad():
        built.model.norm.weight.fill_(-1)  # the norm multiplies by 1 + weight: all hidden states and logits are 0
    assert not plain_logits(built, IDS).any()
    assert route(built) == "keep"


@pytest.mark.parametrize("name", ROUTES)
def test_only_the_wanted_positions_come_back_in_order(name):
    built = network(name)
    wanted = torch.tensor([[False, True, False, False, True, False, True], [True] + 6 * [False]])
    with quiet(built):
        reading = read(built, {"input_ids": torch.tensor([IDS, IDS[::-1]]), "use_cache": False}, wanted)
        found = torch.cat(list(reading.logits(2)))
    expected = torch.cat([plain_logits(built, IDS)[[1, 4, 6]], plain_logits(built, IDS[::-1])[[0]]])
    assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_network_that_does_something_after_its_head_is_read_whole():
    class Odd(type(network("llama"))):
        def forward(self, input_ids, **inputs):
            out = super().forward(input_ids, **inputs)
            out.logits = out.logits.roll(1, dims=-1)
            return out

    built = network("llama")
    built.__class__ = Odd
    assert route(built) == "whole"


def test_the_mode_is_put_back_after_an_exception():
    built = network("llama").train()
    with pytest.raises(RuntimeError), quiet(built):
        raise RuntimeError
    assert built.training
    assert torch.is_grad_enabled()

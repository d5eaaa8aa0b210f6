import math

import numpy as np
import pytest
import torch
from tests.experiments.toy.small import small

from springback.experiments.toy import network
from springback.experiments.toy.config import Toy


def stack(config, seeds=(0, 1)):
    """Members with every weight drawn, biases too, so that nothing is hidden by a zero."""
    made = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        weights = network.initial(config, generator)
        made.append({name: w + 0.3 * torch.randn(w.shape, generator=generator) for name, w in weights.items()})
    return network.stacked(made)


def slow_log2(weights, config, member, number):
    """One string, symbol by symbol, with plain loops and float64."""
    w = {name: tensor[member].detach().double() for name, tensor in weights.items()}
    bits = [(number >> (config.length - 1 - t)) & 1 for t in range(config.length)]
    total = 0.0
    for t in range(config.length):
        read = [network.START, *bits[:t]]
        x = torch.stack([w["symbol"][s] + w["place"][i] for i, s in enumerate(read)])
        for layer in range(config.layers):
            x = x + _attended(w, layer, _normed(x), config)
            hidden = (_normed(x) @ w[f"{layer}.up"] + w[f"{layer}.up.bias"]).clamp(min=0)
            x = x + hidden @ w[f"{layer}.down"] + w[f"{layer}.down.bias"]
        odds = float(_normed(x)[-1] @ w["out"][:, 0] + w["out.bias"][0, 0])
        total += math.log2(1 / (1 + math.exp(-odds if bits[t] else odds)))
    return total


def _normed(x):
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()


def _attended(w, layer, x, config):
    size, out = config.width // config.heads, []
    q, k, v = (x @ w[f"{layer}.qkv"] + w[f"{layer}.qkv.bias"]).split(config.width, dim=-1)
    for head in range(config.heads):
        at = slice(head * size, (head + 1) * size)
        scores = q[:, at] @ k[:, at].T / math.sqrt(size)
        out.append(scores.masked_fill(torch.ones_like(scores).triu(1) > 0, -math.inf).softmax(-1) @ v[:, at])
    return torch.cat(out, -1) @ w[f"{layer}.mixed"] + w[f"{layer}.mixed.bias"]


@pytest.mark.parametrize("config", [Toy(), small(), small(length=4, layers=3, heads=4, width=8)])
def test_the_probabilities_of_all_strings_sum_to_1(config):
    found = network.log2_probabilities(stack(config), config)
    assert found.shape == (2, 2**config.length)
    assert torch.exp2(found).sum(-1).tolist() == pytest.approx([1.0, 1.0], abs=1e-6)
    assert found.std() > 0.5


def test_every_string_has_the_probability_of_a_slow_forward_of_its_own():
    config = small()
    weights = stack(config)
    found = network.log2_probabilities(weights, config)
    for member, numbers in ((0, range(0, 64, 3)), (1, range(1, 64, 3))):
        slow = [slow_log2(weights, config, member, number) for number in numbers]
        np.testing.assert_allclose(found[member].numpy()[list(numbers)], slow, atol=2e-4)


def test_no_symbol_is_predicted_from_a_later_one():
    config = small()
    weights = stack(config)
    strings = network.symbols(torch.tensor([[0b101100, 0b010011]]), config.length).expand(2, -1, -1)
    before = network.logits(weights, network.inputs(strings), config.heads)
    changed = strings.clone()
    changed[..., 3] ^= 1
    after = network.logits(weights, network.inputs(changed), config.heads)
    torch.testing.assert_close(before[..., :4], after[..., :4], rtol=0, atol=0)
    assert (before[..., 4:] != after[..., 4:]).all()


def test_a_string_s_number_has_its_first_symbol_as_the_highest_bit():
    assert network.symbols(torch.tensor([6]), 4).tolist() == [[0, 1, 1, 0]]


def test_members_never_meet():
    config = small()
    weights = stack(config, seeds=(0, 1, 2))
    strings = network.symbols(torch.arange(24).view(3, 8), config.length)
    network.logits(weights, network.inputs(strings), config.heads)[1].sum().backward()
    for name, tensor in weights.items():
        assert tensor.grad is not None
        assert not tensor.grad[0].any(), name
        assert not tensor.grad[2].any(), name
    assert weights["0.up"].grad[1].any()

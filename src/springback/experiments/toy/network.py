"""A small causal transformer over binary strings, several members (seeds, arms) side by side in one stack.

Pre-norm blocks without gains (the next linear map has them), ReLU between, one logit a position: log-odds that the next
symbol is 1. Every weight has a leading `member` axis and every product is a batched one, so members never meet: the
gradient of the summed loss is each member's own.

1. A stack has two members at least: with one, torch takes another kernel, whose last bits differ. So a member's figures
   are the same, bit for bit, in every stack (a test; measured on the CPU).
2. Weights are drawn by a generator of the member's own: normal, variance 1 / inputs, what a block adds divided by
   √(2·layers) besides; biases are 0.
3. The probability of a string is the product along its own path, so those of all strings sum to 1.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.nn import functional

from springback.experiments.toy.config import Toy

Weights = dict[str, Tensor]
"""Name → weights with a leading member axis."""
START = 2
"""The symbol before the first one."""
MLP = 2
"""Hidden units of a block's MLP, in widths."""


def shapes(config: Toy) -> dict[str, tuple[int, int]]:
    """Shape of each weight of one member, in the order in which they are drawn."""
    width = config.width
    found = {"symbol": (3, width), "place": (config.length, width)}
    for layer in range(config.layers):
        for name, inputs, outputs in _maps(width):
            found[f"{layer}.{name}"], found[f"{layer}.{name}.bias"] = (inputs, outputs), (1, outputs)
    return {**found, "out": (width, 1), "out.bias": (1, 1)}


def _maps(width: int) -> tuple[tuple[str, int, int], ...]:
    return ("qkv", width, 3 * width), ("mixed", width, width), ("up", width, MLP * width), ("down", MLP * width, width)


def initial(config: Toy, generator: torch.Generator) -> Weights:
    """The untrained weights of one member."""
    return {name: _drawn(name, shape, config, generator)[None] for name, shape in shapes(config).items()}


def _drawn(name: str, shape: tuple[int, int], config: Toy, generator: torch.Generator) -> Tensor:
    if name.endswith("bias"):
        return torch.zeros(shape)
    fan_in = {"symbol": 1, "place": 4}.get(name, shape[0])
    added = 2 * config.layers if name.endswith(("mixed", "down")) else 1
    return torch.randn(shape, generator=generator) / math.sqrt(fan_in * added)


def stacked(members: Sequence[Mapping[str, Tensor]]) -> Weights:
    """Members side by side, as leaves that take gradients."""
    return {name: torch.cat([m[name] for m in members]).requires_grad_() for name in members[0]}


def member(weights: Mapping[str, Tensor], index: int) -> Weights:
    """One member's weights, copied."""
    return {name: tensor.detach()[index : index + 1].clone() for name, tensor in weights.items()}


def logits(
    weights: Mapping[str, Tensor], symbols: Int[Tensor, "member string time"], heads: int
) -> Float[Tensor, "member string time"]:
    """Log-odds (nats) that the symbol after each of these is 1; position 0 is meant to hold `START`."""
    members, strings, time = symbols.shape
    width = weights["symbol"].shape[-1]
    rows = (symbols + 3 * torch.arange(members)[:, None, None]).reshape(-1)
    x = weights["symbol"].reshape(-1, width).index_select(0, rows).view(members, strings, time, width)
    x = (x + weights["place"][:, None, :time]).reshape(members, strings * time, width)
    layers = sum(name.endswith("qkv") for name in weights)
    for layer in range(layers):
        qkv = _linear(weights, f"{layer}.qkv", _normed(x)).view(members * strings, time, 3, heads, width // heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + _linear(weights, f"{layer}.mixed", seen.transpose(1, 2).reshape(members, strings * time, width))
        x = x + _linear(weights, f"{layer}.down", _linear(weights, f"{layer}.up", _normed(x)).relu())
    return _linear(weights, "out", _normed(x)).view(members, strings, time)


def _normed(x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:])


def _linear(weights: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    return torch.baddbmm(weights[f"{name}.bias"], x, weights[name])


def inputs(strings: Int[Tensor, "member string time"]) -> Int[Tensor, "member string time"]:
    """What the network reads while it predicts these strings: the start, then all symbols but the last."""
    return functional.pad(strings[..., :-1], (1, 0), value=START)


def symbols(numbers: Int[Tensor, "*shape"], length: int) -> Int[Tensor, "*shape time"]:
    """Strings from their numbers, the first symbol being the highest bit."""
    return (numbers[..., None] >> torch.arange(length - 1, -1, -1)) & 1


@torch.no_grad()
def log2_probabilities(weights: Mapping[str, Tensor], config: Toy) -> Float64[Tensor, "member string"]:
    """Bits (negative) of each of the 2^length strings, by number. Logits in float32, sums in float64.

    Strings that differ in their last symbol share a forward.
    """
    members, half = weights["symbol"].shape[0], 2 ** (config.length - 1)
    strings = symbols(2 * torch.arange(half), config.length).expand(members, half, config.length)
    odds = logits(weights, inputs(strings), config.heads).double() / math.log(2)
    one, zero = (-torch.logaddexp2(torch.zeros(()).double(), side * odds) for side in (-1, 1))
    path = torch.where(strings[..., :-1] == 1, one[..., :-1], zero[..., :-1]).sum(-1)
    return torch.stack([path + zero[..., -1], path + one[..., -1]], dim=-1).flatten(1)

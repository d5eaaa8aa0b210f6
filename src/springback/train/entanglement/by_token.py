"""Which tokens carry the inner product of a pair: g_w = Σ_t g_{w,t}, so ⟨g_w, g_l⟩ is a sum over pairs of tokens.

    marginals   ⟨g_{w,t}, g_l⟩ for each chosen token t, ⟨g_w, g_{l,u}⟩ for each rejected token u; each sums to wl
    matrix      ⟨g_{w,t}, g_{l,u}⟩, [t, u]; its sum is wl, its row sums the first marginals

⟨g_{w,t}, v⟩ for all t at once is the derivative of the tokens' log-probabilities along v: one forward pass with a
tangent. Marginals take one backward pass and one such pass for each answer; the matrix takes as many as the shorter
answer has tokens. Memory: one gradient of all counted parameters.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from springback.errors import RefusedError
from springback.models.readout import accepts
from springback.models.rows import Row, RowPair
from springback.tensors.inner_product import inner_product
from springback.train.entanglement.counted import counted
from springback.train.entanglement.padding_row import as_autograd, whole_derivative
from springback.train.entanglement.plain import gradient
from springback.train.entanglement.preconditioner import under
from springback.train.entanglement.stretches import Stretch, accurate, padded, refuse_unreadable
from springback.train.entanglement.tables import Metric
from springback.train.entanglement.tape import only_gradients_of

MOST = 64
"""Tokens of the shorter answer for which `token_matrix` is made without being asked for more."""
PerToken = Float64[Tensor, " token"]


@dataclass(frozen=True, slots=True)
class Marginals:
    """nats² for each token; negative: pushing the other answer down pushes this token up."""

    chosen: Float64[Tensor, " chosen_token"]
    """⟨g_{w,t}, g_l⟩"""
    rejected: Float64[Tensor, " rejected_token"]
    """⟨g_w, g_{l,u}⟩"""


def token_marginals(
    network: nn.Module, pair: RowPair, *, parameters: Collection[str] | None = None, metric: Metric | None = None
) -> Marginals:
    """Of every token of both answers, stop included; `parameters` and `metric` as in `inner_products`."""
    refuse_unreadable(network, [(pair.chosen, pair.rejected)])
    names = counted(network, parameters)
    return Marginals(
        _pulled(network, pair.chosen, pair.rejected, names, metric),
        _pulled(network, pair.rejected, pair.chosen, names, metric),
    )


def token_matrix(
    network: nn.Module,
    pair: RowPair,
    *,
    parameters: Collection[str] | None = None,
    most: int = MOST,
    metric: Metric | None = None,
) -> Float64[Tensor, "chosen_token rejected_token"]:
    """⟨g_{w,t}, g_{l,u}⟩ of every two tokens; `RefusedError` where the shorter answer has more than `most` tokens."""
    refuse_unreadable(network, [(pair.chosen, pair.rejected)])
    names = counted(network, parameters)
    short, long = sorted((pair.rejected, pair.chosen), key=lambda row: len(row.answer))
    if len(short.answer) > most:
        raise RefusedError(
            f"The matrix takes a backward pass for each of {len(short.answer)} tokens; {most} are allowed.",
            kind="option", next="Allow more, or look at the marginals.",
        )  # fmt: skip
    lines = []
    for token in range(len(short.answer)):
        up_to = Stretch(Row(short.prompt, short.answer[: token + 1], 0, 0), token)
        with as_autograd(network):
            lines.append(_along(network, long, under(metric, gradient(network, up_to, names).tensors)))
    matrix = torch.stack(lines) if lines else torch.zeros(0, len(long.answer), dtype=torch.float64)
    return matrix if short is pair.chosen else matrix.T


def token_changes(network: nn.Module, row: Row, direction: Mapping[str, Tensor]) -> PerToken:
    """Of each answer token, d/ds log π_t(θ + s · direction) at s = 0 in nats: what a step along it does."""
    refuse_unreadable(network, [(row, row)])
    with whole_derivative(network):
        return _along(network, row, direction)


def _pulled(network: nn.Module, row: Row, other: Row, names: Collection[str], metric: Metric | None) -> PerToken:
    if not row.answer or not other.answer:
        return torch.zeros(len(row.answer), dtype=torch.float64)
    with as_autograd(network):
        return _along(network, row, under(metric, gradient(network, Stretch(other), names).tensors))


def _along(network: nn.Module, row: Row, direction: Mapping[str, Tensor]) -> PerToken:
    """By one pass with a tangent; where an operation knows no tangents, by a backward pass for each token."""
    if not row.answer or not direction:
        return torch.zeros(len(row.answer), dtype=torch.float64)
    try:
        return _forward(network, Stretch(row), direction)
    except (NotImplementedError, RuntimeError):
        return _token_by_token(network, row, direction)


def _forward(network: nn.Module, stretch: Stretch, direction: Mapping[str, Tensor]) -> PerToken:
    arguments = _arguments(network, stretch)
    targets = torch.tensor(stretch.targets, device=arguments["input_ids"].device)[:, None]

    def logprobs(parameters: Mapping[str, Tensor]) -> Tensor:
        logits = functional_call(network, dict(parameters), (), arguments).logits[0, -len(stretch) :]
        return accurate(logits).log_softmax(dim=-1).gather(-1, targets).squeeze(-1)

    tangents = {name: tensor.to(network.get_parameter(name)) for name, tensor in direction.items()}
    with only_gradients_of(network, ()), sdpa_kernel(SDPBackend.MATH):
        here = {name: network.get_parameter(name).detach() for name in direction}
        return jvp(logprobs, (here,), (tangents,))[1].double().cpu()


def _arguments(network: nn.Module, stretch: Stretch) -> dict[str, Any]:
    """One line has no padding: the last positions are those that predict, and no mask is needed."""
    given = padded(network, [stretch]).arguments
    del given["attention_mask"]
    return given | ({"logits_to_keep": len(stretch)} if accepts(network, "logits_to_keep") else {})


def _token_by_token(network: nn.Module, row: Row, direction: Mapping[str, Tensor]) -> PerToken:
    found = torch.zeros(len(row.answer), dtype=torch.float64)
    for token in range(len(row.answer)):
        up_to = Stretch(Row(row.prompt, row.answer[: token + 1], 0, 0), token)
        tensors = gradient(network, up_to, list(direction)).tensors
        found[token] = sum(inner_product(tensor, direction[name]) for name, tensor in tensors.items())
    return found

"""Layer depth: at which layer does the change between two models reach the margin?

Activation patching (Ferrando et al. 2024, *A Primer on the Inner Workings of Transformer-based Language Models*,
section 3.2; Heimersheim and Nanda 2024, arXiv 2404.15255) across two models: at every position that predicts an answer
or stop token, the residual stream of the host after block l is replaced by the donor's, of the same row at the same
position. The prompt before, the embedding and everything after block l stay the host's. Recovered share = (swapped −
host) / (donor − host), in means over pairs: 0 where the donor's stream changes nothing, 1 where it brings the donor's
whole margin with it.

What it does not guarantee: 1 after the last block (norm, head and the keys of the prompt are the host's); that streams
of two models share a basis (they do after tuning, not after another pre-training, and then the placebo shows it: a
random step of the same length at every position). It localises where the difference passes, not where it was learnt.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from springback.errors import RefusedError
from springback.interp.answer_passes import BATCH_TOKENS, AnswerPass, passes
from springback.models.hooks import capture, restart
from springback.models.layout import Layout
from springback.models.readout import quiet
from springback.models.rows import Row
from springback.papers import INNER_WORKINGS
from springback.stats.measured import Measured, unmeasured
from springback.stats.paired import ratio_of_means

PAPER = INNER_WORKINGS

Margins = Float64[Tensor, " pair"]
Curve = Float64[Tensor, "layer pair"]


@dataclass(frozen=True, slots=True)
class RowPair:
    """One held-out pair: the wanted and the opposite answer to one prompt."""

    wanted: Row
    opposite: Row


@dataclass(frozen=True, slots=True)
class Residuals:
    """What a donor's stream was at the positions that predict its answers, and the margins it had itself."""

    layers: tuple[int, ...]
    layout: Layout
    rows: tuple[Float[Tensor, "layer _ width"], ...]
    """Wanted and opposite of the first pair, of the second, …; on the CPU, in the compute dtype."""
    margins: Margins
    """bit/bit"""


@dataclass(frozen=True, slots=True)
class SwapCurve:
    """Margins in bits of code per bit of text; higher = more of the wanted behaviour."""

    layers: tuple[int, ...]
    host: Margins
    donor: Margins
    swapped: Curve
    """The host's margins with the donor's stream after each layer."""
    placebo: Curve | None
    """The same with a random step of the same length at every position, in one direction per position."""

    def recovered(self) -> list[Measured]:
        """Share of the change in margin that each layer's swap recovers."""
        return [recovered(curve, self.host, self.donor) for curve in self.swapped]

    def recovered_by_placebo(self) -> list[Measured]:
        """The share that the random step recovers: about 0 where the direction is what counts."""
        if self.placebo is None:
            return [unmeasured("the random step was read in the other direction only")] * len(self.layers)
        return [recovered(curve, self.host, self.donor) for curve in self.placebo]


def residuals(
    network: nn.Module,
    layout: Layout,
    pairs: Sequence[RowPair],
    layers: Sequence[int],
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> Residuals:
    """The donor's streams after these layers: layers × answer tokens × width values, kept on the CPU."""
    rows = _rows(pairs)
    kept: dict[int, Tensor] = {}
    logprobs = torch.empty(len(rows), dtype=torch.float64)
    with quiet(network):
        for batch in passes(network, layout, rows, batch_tokens=batch_tokens):
            with capture(network, layout, layers) as captured:
                logprobs[batch.indices] = batch.logprobs()
            streams = torch.stack([captured[layer][batch.answers] for layer in layers]).cpu()
            kept |= zip(batch.indices, streams.split([len(row) for row in batch.targets], dim=1), strict=True)
    return Residuals(tuple(layers), layout, tuple(kept[i] for i in range(len(rows))), _margins(logprobs, pairs))


def swap_curve(
    network: nn.Module,
    layout: Layout,
    pairs: Sequence[RowPair],
    donor: Residuals,
    *,
    generator: torch.Generator | None,
    batch_tokens: int = BATCH_TOKENS,
) -> SwapCurve:
    """The host's margins with the donor's residuals after each of the donor's layers, and with the placebo's.

    Costs one forward over the pairs and two partial ones a layer, from that layer on, over the answers only. The
    generator (on the CPU) draws one direction per row and position, the same for all layers, in the order of `pairs`;
    without one there is no placebo, and one partial forward a layer less.
    RefusedError (kind `model`) where the networks differ in size; ValueError where the pairs are not the donor's.
    """
    rows = _rows(pairs)
    _check(layout, rows, donor)
    directions = None if generator is None else [_directions(row, layout.width, generator) for row in rows]
    host = torch.empty(len(rows), dtype=torch.float64)
    found = torch.empty(2, len(donor.layers), len(rows), dtype=torch.float64)
    with quiet(network):
        for batch in passes(network, layout, rows, batch_tokens=batch_tokens):
            with capture(network, layout, donor.layers) as own:
                host[batch.indices] = batch.logprobs()
            for place, layer in enumerate(donor.layers):
                given = torch.cat([donor.rows[index][place] for index in batch.indices])
                found[0, place, batch.indices] = _with(batch, layout, layer, own[layer], given)
                if directions is not None:
                    steps = torch.cat([directions[index] for index in batch.indices])
                    random = _same_length(own[layer][batch.answers], given, steps)
                    found[1, place, batch.indices] = _with(batch, layout, layer, own[layer], random)
    swapped, placebo = (torch.stack([_margins(row, pairs) for row in curve]) for curve in found)
    return SwapCurve(donor.layers, _margins(host, pairs), donor.margins, swapped, placebo if directions else None)


def recovered(swapped: Margins, host: Margins, donor: Margins) -> Measured:
    """Share of the change in margin recovered, paired bootstrap over pairs; unmeasured where that change may be 0."""
    return ratio_of_means((swapped - host).numpy(), (donor - host).numpy(), over="pairs", unit="share")


def _with(batch: AnswerPass, layout: Layout, layer: int, own: Tensor, given: Tensor) -> Float64[Tensor, " row"]:
    hidden = own.clone()
    hidden[batch.answers] = given.to(own.device, own.dtype)
    with restart(batch.network, layout, layer, hidden):
        return batch.logprobs()


def _same_length(
    own: Float[Tensor, "position width"], given: Float[Tensor, "position width"], steps: Float[Tensor, "position width"]
) -> Float[Tensor, "position width"]:
    """The host's stream, moved as far as the donor's is away, in the given unit directions."""
    far = (given.to(own.device).float() - own.float()).norm(dim=-1, keepdim=True)
    return own.float() + far * steps.to(own.device)


def _directions(row: Row, width: int, generator: torch.Generator) -> Float[Tensor, "answer width"]:
    drawn = torch.randn(len(row.answer), width, generator=generator)
    return drawn / drawn.norm(dim=-1, keepdim=True)


def _rows(pairs: Sequence[RowPair]) -> list[Row]:
    return [row for pair in pairs for row in (pair.wanted, pair.opposite)]


def _margins(logprobs: Float64[Tensor, " row"], pairs: Sequence[RowPair]) -> Margins:
    """γ(opposite) − γ(wanted): log-probabilities in bits, each per bit of its own answer's UTF-8 text."""
    sizes = torch.tensor([8 * row.answer_bytes for row in _rows(pairs)], dtype=torch.float64)
    rates = (logprobs / math.log(2) / sizes).view(-1, 2)
    return rates[:, 0] - rates[:, 1]


def _check(layout: Layout, rows: Sequence[Row], donor: Residuals) -> None:
    if not layout.matches(donor.layout):
        raise RefusedError(
            f"A stream of {donor.layout.layers} blocks and width {donor.layout.width} has no place in one of "
            f"{layout.layers} blocks and width {layout.width}.",
            kind="model",
            next="Compare a model with one that it was tuned from.",
        )
    if [len(row.answer) for row in rows] != [stream.shape[1] for stream in donor.rows]:
        raise ValueError("The donor's residuals were taken on other pairs")

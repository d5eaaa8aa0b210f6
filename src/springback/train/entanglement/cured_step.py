"""One micro-batch of a cured loss with a single forward pass and a single backward pass over activations.

The pass keeps what every layer read and the signals that came back; from them the inner products of each pair, from
those the cure's weights, and then each parameter's gradient Σ −d_w' g_w + d_l' g_l once, as one matrix product a layer.

Memory beside a usual step's: the signals, about as much as the activations, and the predicting positions' logits.
Where a module is not known: inner products by whole backward passes, and one more for the step; the note says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from springback.fit.loop import Summed
from springback.models.rows import RowPair
from springback.tensors.given_gradients import with_gradients
from springback.train.entanglement.counted import counted
from springback.train.entanglement.cure import Cure
from springback.train.entanglement.gram import Grams
from springback.train.entanglement.kept import PerAnswer, kept
from springback.train.entanglement.lines import UnknownModuleError
from springback.train.entanglement.plain import gradient, plain_products
from springback.train.entanglement.stretches import Stretch, refuse_unreadable
from springback.train.entanglement.tables import Metric
from springback.train.entanglement.trial import known
from springback.train.entanglement.weights import Loss, Weights, gradient_weights
from springback.train.preference.pairs import Both, PairLogprobs


@dataclass(frozen=True, slots=True)
class CuredStep:
    """What a step on one micro-batch is made of."""

    summed: Summed
    """For `fit.loop`: the loss's own value over the pairs; its backward pass deposits the cured gradients."""
    policy: PairLogprobs
    """Log π of both answers before the step, nats, float64."""
    grams: Grams
    """In the metric that was given, else Euclidean; `wl` may be NaN (see `inner`)."""
    before: Weights
    after: Weights
    counts: Mapping[str, int]
    """Pairs that the cure did not treat as its rule says, by reason."""
    note: str | None


def cured_step(
    network: nn.Module,
    pairs: Sequence[RowPair],
    loss: Loss,
    reference: PairLogprobs | None,
    cure: Cure,
    *,
    metric: Metric | None = None,
    inner: bool = False,
) -> CuredStep:
    """The loss of these pairs, with gradients in which every pair's d_w and d_l are the cure's.

    `inner`: make ⟨g_w, g_l⟩ too, for a cure that reads it or a page that shows it; without it, it is NaN but for
    identical and empty answers. `ValueError` where the cure makes finite weights infinite or NaN.
    The loss is given sums and lengths; one that reads tokens, collisions or divergences is refused by itself.
    An empty answer has log-probability 0 and no gradient.
    """
    refuse_unreadable(network, [(pair.chosen, pair.rejected) for pair in pairs])
    names = counted(network, None)
    answers = _answers(network, pairs, names, metric, inner=inner)
    logprobs = answers.logprobs.unflatten(0, (-1, 2))
    tokens = torch.tensor([[len(pair.chosen.answer), len(pair.rejected.answer)] for pair in pairs]).double()
    policy = PairLogprobs(logprobs[:, 0], logprobs[:, 1], tokens=Both(tokens[:, 0], tokens[:, 1]))
    before = gradient_weights(loss, policy, reference)
    after = cure(answers.grams, before)
    if torch.cat(before).isfinite().all() and not torch.cat(after).isfinite().all():
        raise ValueError("The cure's weights are not finite; one that reads ⟨g_w, g_l⟩ needs `inner=True`.")
    coefficients = torch.stack([-after.chosen, after.rejected], dim=1).flatten()
    parameters = [network.get_parameter(name) for name in names]
    total = with_gradients(loss(policy, reference).sum(), parameters, lambda: answers.gradients(coefficients))
    counts = cure.counts(answers.grams, before)
    return CuredStep(
        Summed(total, len(pairs), int(tokens.sum())), policy, answers.grams, before, after, counts, answers.note
    )


@dataclass(frozen=True, slots=True)
class _Answers:
    """Chosen, rejected, chosen, rejected …"""

    logprobs: PerAnswer
    grams: Grams
    gradients: Callable[[PerAnswer], list[Tensor | None]]
    """Σ coefficient · ∇log π, parameter by parameter."""
    note: str | None


def _answers(
    network: nn.Module, pairs: Sequence[RowPair], names: Sequence[str], metric: Metric | None, *, inner: bool
) -> _Answers:
    facts = known(network, names)
    why = facts.why
    if why is None:
        try:
            found = kept(network, pairs, facts, metric, inner=inner)
            return _Answers(found.logprobs, found.grams(pairs), partial(found.gradients, network, names), None)
        except UnknownModuleError as unknown:
            why = str(unknown)
    products = plain_products(network, pairs, names, metric=metric)
    logprobs = torch.tensor([value for pair in products for value in pair.logprobs], dtype=torch.float64)
    note = f"Whole backward passes, two an answer: {why}."
    return _Answers(
        logprobs, Grams.of([pair.whole for pair in products]), partial(_summed, network, pairs, names), note
    )


def _summed(
    network: nn.Module, pairs: Sequence[RowPair], names: Sequence[str], coefficients: PerAnswer
) -> list[Tensor | None]:
    """Answer by answer, so that two gradients exist at one time."""
    total: dict[str, Tensor] = {}
    rows = [row for pair in pairs for row in (pair.chosen, pair.rejected)]
    for coefficient, row in zip(coefficients.tolist(), rows, strict=True):
        for name, tensor in (gradient(network, Stretch(row), names).tensors if row.answer else {}).items():
            total[name] = total[name].add_(tensor, alpha=coefficient) if name in total else tensor * coefficient
    return [total.get(name) for name in names]

"""Updates of the weights on one batch of written answers, through the one loop of `fit`.

What a method says of a micro-batch is a sum and what it is over, so the number of answers at once changes nothing but
rounding. Before the first update π is π_old by construction: with one update a batch the trainer's own pass is π_old,
and with several π_old is what the same pass, over the same micro-batches, gives before the first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Int
from torch import Tensor, nn

from springback.fit.loop import Fit, Optimizer, Step, Summed, fit
from springback.models.rows import Row
from springback.train.policy.method import PolicyMethod
from springback.train.policy.passes import forward
from springback.train.policy.recipe import Recipe
from springback.train.policy.value_head import ValueHead
from springback.train.policy.written import Credit, PerToken, Written


@dataclass(frozen=True, slots=True)
class Learner:
    """What is trained."""

    network: nn.Module
    optimizer: Optimizer
    head: ValueHead | None = None
    """Where the method needs values."""


@dataclass(frozen=True, slots=True)
class Update:
    """What one update did."""

    step: Step
    clipped: float
    """Share of its tokens whose gradient clipping took away."""
    ratio_mean: float
    ratio_furthest: float
    """Largest |log ratio| of a token, nats; 0 in the first update on a batch."""
    logprobs: PerToken
    """Log π of the batch's answers as this update's pass found them; 0 for answers of other minibatches."""


@dataclass(slots=True)
class _Seen:
    """What the micro-batches of one update said."""

    logprobs: PerToken
    tokens: int = 0
    clipped: int = 0
    ratios: float = 0.0
    furthest: float = 0.0
    indices: list[Tensor] = field(default_factory=list)


def old_needed(method: PolicyMethod, recipe: Recipe) -> bool:
    """Whether π_old must be read before the first update."""
    return recipe.updates > 1 or "values" in method.needs or (method.kl_in == "reward" and method.beta > 0)


def updates(
    learner: Learner,
    method: PolicyMethod,
    rows: Sequence[Row],
    written: Written,
    credit: Credit,
    recipe: Recipe,
    *,
    first: int = 0,
) -> Iterator[Update]:
    """One `Update` after each; a minibatch in which no answer teaches anything gets none.

    `rows` are the answers of `written`, those of one prompt side by side; `first` is how many updates lie behind.
    """
    learner.network.eval()
    index = first
    for _ in range(recipe.passes):
        for part in _minibatches(written.group, recipe.minibatches):
            if bool(credit.kept[part].any()):
                yield _update(learner, method, rows, _Given(written, credit, part), recipe, index)
            index += 1


@dataclass(frozen=True, slots=True)
class _Given:
    written: Written
    credit: Credit
    part: Int[Tensor, " some"]


def _update(
    learner: Learner, method: PolicyMethod, rows: Sequence[Row], given: _Given, recipe: Recipe, index: int
) -> Update:
    seen = _Seen(torch.zeros(given.written.real.shape, dtype=torch.float64))
    batches = [piece.tolist() for piece in given.part.split(recipe.at_once)]
    config = Fit(lr=recipe.lr, warmup_steps=recipe.warmup_steps, accumulate=len(batches), clip=recipe.clip)
    loss = lambda answers: _loss(learner, method, rows, given, recipe, answers, seen)
    (step,) = fit(loss, batches, learner.optimizer, config, first_step=index)
    return Update(step, seen.clipped / seen.tokens, seen.ratios / seen.tokens, seen.furthest, seen.logprobs)


def _loss(
    learner: Learner,
    method: PolicyMethod,
    rows: Sequence[Row],
    given: _Given,
    recipe: Recipe,
    answers: list[int],
    seen: _Seen,
) -> Summed:
    indices = torch.tensor(answers, device=given.written.real.device)
    written, credit = given.written.part(indices), given.credit.part(indices)
    width, own = written.real.shape[1], [rows[answer] for answer in answers]
    found = forward(learner.network, own, width=width, temperature=recipe.temperature, head=learner.head)
    objective = method(found.logprobs, written, credit, found.values)
    tokens = int(written.real.sum())
    ratios = objective.ratio[written.real]
    seen.tokens, seen.clipped = seen.tokens + tokens, seen.clipped + int(objective.clipped[written.real].sum())
    seen.ratios += float(ratios.sum())
    seen.furthest = max(seen.furthest, float(ratios.log().abs().max()))
    seen.logprobs[indices.cpu()] = found.logprobs.detach().cpu().double()
    return Summed(objective.total, objective.weight, tokens)


def _minibatches(group: Int[Tensor, " answer"], count: int) -> list[Int[Tensor, " some"]]:
    """Answers dealt by prompt: prompt i goes into part i mod count, in the order in which prompts first appear."""
    order = {int(prompt): place for place, prompt in enumerate(dict.fromkeys(group.tolist()))}
    part = torch.tensor([order[int(prompt)] % count for prompt in group])
    return [found for each in range(count) if len(found := (part == each).nonzero().squeeze(-1))]

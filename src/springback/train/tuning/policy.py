"""A policy method as a way of tuning: answers of the policy's own to each row's prompt, rewarded, learnt from once.

    a batch of rows → `group` answers to each prompt → rewards → advantages → one update;  a row is a prompt

One update on a batch, by the weights that wrote it: π / π_old is 1 in it and nothing is clipped, so methods that differ
by their clipping alone give the same step here (`springback rlhf` goes over a batch several times). The reference is
the network as the chain finds it; it is kept as a frozen copy where the method's penalty is above 0. A draw depends on
the chain's seed, its row's place and its number, so the first N rows give the first steps of a longer chain.

A batch in which nothing teaches (every group's rewards are equal) is a step with gradient 0; Adam's momentum goes on.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from springback import papers
from springback.errors import RefusedError
from springback.fit.loop import Summed
from springback.models.readout import quiet, text_config
from springback.models.rollout import Completion, Rolled, roll, seed_of
from springback.models.rows import Row
from springback.train.policy.passes import Pass, forward
from springback.train.policy.ppo import PPO
from springback.train.policy.written import Credit, Written
from springback.train.tuning.method import TuningLoss
from springback.train.tuning.rollouts import Judge, Rollouts, Tally
from springback.train.tuning.values import Values


@dataclass(frozen=True, slots=True)
class PolicyGradient:
    """Tunes towards answers of its own that are rewarded."""

    writes: ClassVar = True
    data_answers: ClassVar = False
    """The rows' own answers are not trained on."""
    whole_batch: ClassVar = "draws answers, and another batch shape may draw others"
    """Why a batch must not be split over processes."""

    method: Any
    """A policy method: `train.policy`."""
    group: int = 4
    """Answers to each prompt."""
    reward: str = ""
    """What rewards them, as it was asked for; empty: the experiment's own scorer."""
    value_rate: float = 100.0
    """Learning rate of a value head, in units of the chain's."""
    judge: Judge | None = None
    """The reward itself."""
    rollouts: Rollouts | None = None
    """How answers are drawn."""

    def __post_init__(self) -> None:
        if self.group < 1 or not self.value_rate > 0:
            raise ValueError(f"group ≥ 1 and value_rate > 0 must hold, got {self.group} and {self.value_rate}")
        if "groups" in self.method.needs and self.group < 2:
            raise ValueError(f"group must be 2 or more, got {self.group}: answers to one prompt are compared")

    @property
    def answers(self) -> int:
        """Answers that go through the network for each row."""
        return self.group

    @property
    def copies(self) -> bool:
        """Whether a frozen copy of the network stays in memory."""
        return self.method.beta > 0

    @property
    def paper(self) -> papers.Paper:
        """The method's own."""
        return self.method.paper

    def equipped(self, rollouts: Rollouts) -> "PolicyGradient":
        """The same way, which can draw answers now."""
        return replace(self, rollouts=rollouts)

    def __call__(self, network: nn.Module, rows: Sequence[Row], before: Sequence[Row]) -> TuningLoss:
        del before
        if self.rollouts is None or self.judge is None:
            raise ValueError("a policy method must be told how answers are drawn (`equipped`) and what rewards them")
        if len(self.rollouts.asked) != len(rows):
            raise ValueError(f"{len(rows)} rows have {len(self.rollouts.asked)} prompts; each must have its own")
        reference = copy.deepcopy(network).requires_grad_(False) if self.method.beta > 0 else None  # noqa: FBT003
        method, rollouts = _with_length(self.method, self.rollouts.max_new_tokens), self.rollouts
        values = _values(network, rollouts.lr * self.value_rate) if "values" in method.needs else None
        places = {id(row): place for place, row in enumerate(rows)}
        return _Chain(method, self.group, self.judge, rollouts, reference, values, places)


class _Batch(NamedTuple):
    """What was written to a batch of prompts and has a reward; answers to one prompt side by side."""

    rows: list[Row]
    rewards: list[float]
    group: list[int]


@dataclass(slots=True)
class _Chain:
    """The loss of a chain, with what changes from step to step."""

    method: Any
    group: int
    judge: Judge
    rollouts: Rollouts
    reference: nn.Module | None
    values: Values | None
    places: dict[int, int]
    """Place of each row, by its identity."""
    tally: Tally = field(default_factory=Tally)

    def __call__(self, network: nn.Module, batch: Sequence[Row]) -> Summed:
        found = self._write(network, batch)
        width = max(len(row.answer) for row in found.rows)
        head = None if self.values is None else self.values.head
        own = forward(network, found.rows, width=width, temperature=self.rollouts.temperature, head=head)
        written = _written(found, own, self._reference(found.rows, width))
        credit = self.method.credit(written)
        self._count(found, credit)
        if self.values is not None and own.values is not None:
            told = lambda values: self.method(own.logprobs.detach(), written, credit, values)
            self.values.learn(own.values, told)
        objective = self.method(own.logprobs, written, credit, written.values)
        self._after(written)
        return Summed(objective.total, max(objective.weight, 1.0), int(written.real.sum()))

    def _write(self, network: nn.Module, batch: Sequence[Row]) -> _Batch:
        given, each = self.rollouts, range(self.group)
        places = [self.places[id(row)] for row in batch]
        written = roll(
            network, [row.prompt for row in batch],
            [[seed_of(given.seed, place, number) for number in each] for place in places],
            max_new_tokens=given.max_new_tokens, stop=given.stop, temperature=given.temperature,
        )  # fmt: skip
        pairs = [(place, one) for place, group in zip(places, written, strict=True) for one in group]
        prompts = {place: row.prompt for place, row in zip(places, batch, strict=True)}
        answers = [self._completion(place, prompts[place], one) for place, one in pairs]
        rewards = self.judge(answers, [given.asked[place].wanted for place, _ in pairs])
        kept = [(*pair, reward) for pair, reward in zip(pairs, rewards, strict=True) if reward is not None]
        if not kept:
            raise _unrewarded(len(answers))
        self.tally.unrewarded += len(answers) - len(kept)
        rows = [Row(prompts[place], one.ids, int(one.ended), 0) for place, one, _ in kept]
        return _Batch(rows, [reward for *_, reward in kept], [place for place, *_ in kept])

    def _completion(self, place: int, prompt: tuple[int, ...], one: Rolled) -> Completion:
        turns = self.rollouts.asked[place].turns
        return Completion(turns[-1]["content"], self.rollouts.text(one.ids), prompt, one.ids, one.ended, turns=turns)

    def _reference(self, rows: Sequence[Row], width: int) -> Tensor | None:
        if self.reference is None:
            return None
        with quiet(self.reference):
            return forward(self.reference, rows, width=width, temperature=self.rollouts.temperature).logprobs

    def _count(self, found: _Batch, credit: Credit) -> None:
        taught = ((credit.advantages != 0).any(dim=1) & credit.kept).tolist()
        self.tally.answers += len(found.rows)
        self.tally.tokens += sum(len(row.answer) for row in found.rows)
        for prompt in dict.fromkeys(found.group):
            own = [index for index, group in enumerate(found.group) if group == prompt]
            self.tally.silent += not any(taught[index] for index in own)
            self.tally.rewards.append(fmean(found.rewards[index] for index in own))

    def _after(self, written: Written) -> None:
        if isinstance(self.method, PPO) and written.old is not None and written.reference is not None:
            apart = torch.where(written.real, written.old - written.reference, 0.0).sum(dim=1)
            self.method = self.method.after(float(apart.mean()), len(apart))


def _written(found: _Batch, own: Pass, reference: Tensor | None) -> Written:
    """The batch as a method is given it: π_old and V_old are those of the very pass that is learnt from."""
    like = own.logprobs
    lengths = torch.tensor([len(row.answer) for row in found.rows], device=like.device)
    real = torch.arange(like.shape[1], device=like.device) < lengths[:, None]
    rewards = torch.tensor(found.rewards, dtype=like.dtype, device=like.device)
    values = None if own.values is None else own.values.detach()
    return Written(real, rewards, torch.tensor(found.group, device=like.device), like.detach(), reference, values)


def _with_length(method: Any, longest: int) -> Any:
    return replace(method, length=longest) if getattr(method, "length", None) == 0 else method


def _values(network: nn.Module, lr: float) -> Values:
    return Values.of(text_config(network).hidden_size, lr=lr, device=next(network.parameters()).device)


def _unrewarded(answers: int) -> RefusedError:
    return RefusedError(
        f"None of the {answers} answers of a step has a reward, so there is nothing to learn from.", kind="reward",
        where="reward", next="Let the reward give numbers, not null or NaN.",
    )  # fmt: skip

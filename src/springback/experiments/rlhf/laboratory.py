"""The laboratory of a real model: it writes, is rewarded, and learns from what it wrote."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from springback.errors import RefusedError
from springback.experiments.rlhf import learning
from springback.experiments.rlhf.asking import Encoded, body_of, completion, encoded, row_of
from springback.experiments.rlhf.config import Design
from springback.experiments.rlhf.policy import Policy, device_of, policy
from springback.experiments.rlhf.rewards.checked import Reward
from springback.experiments.rlhf.rewards.choose import Terms, reward_named
from springback.experiments.rlhf.sources import Sources, dealt
from springback.experiments.rlhf.walk import Body, When
from springback.models.rollout import Completion, Rolled, roll, seed_of
from springback.models.rows import Row
from springback.models.tokens import stop_ids
from springback.train.policy.choose import method_named
from springback.train.policy.method import PolicyMethod
from springback.train.policy.passes import Pass, forward_quietly
from springback.train.policy.ppo import PPO
from springback.train.policy.recipe import Recipe
from springback.train.policy.updates import updates
from springback.train.policy.value_head import ValueHead

HELD_OUT = -1
"""The step by whose seeds held-out answers are drawn: the same before and after."""


@dataclass(slots=True)
class Work:
    """What this call did."""

    steps: int = 0
    updates: int = 0
    tokens_written: int = 0
    tokens_trained: int = 0
    rewards: int = 0
    """Answers that a reward was asked about."""


@dataclass(slots=True)
class ModelLaboratory:
    """A `Laboratory` over a real network."""

    design: Design
    sources: Sources
    policy: Policy
    method: PolicyMethod
    reward: Reward
    watch: Reward | None
    training: Sequence[Encoded]
    held_out: Sequence[Encoded]
    work: Work = field(default_factory=Work)

    def take_up(self) -> int:
        steps, beta = self.policy.take_up()
        if beta is not None and isinstance(self.method, PPO):
            self.method = replace(self.method, beta=beta)
        return steps

    def keep(self, steps: int) -> None:
        self.policy.keep(steps, self.method.beta)

    def write(self, step: int) -> list[Body]:
        places, each = dealt(self.sources, self.design, step), self.design.group
        prompts = [self.training[place] for place in places]
        facts = [{"step": step, "index": index, "group": index // each, "row": places[index // each],
                  "seed": seed_of(self.design.seed, step, index)} for index in range(len(places) * each)]  # fmt: skip
        return self._written(prompts, facts, each)

    def read(self, when: When) -> Iterator[Body]:
        border = len(self.training)
        seeds = [seed_of(self.design.seed, HELD_OUT, index) for index in range(len(self.held_out))]
        facts = [{"when": when, "index": i, "row": border + i, "seed": seed} for i, seed in enumerate(seeds)]
        bodies = self._written(self.held_out, facts, 1)
        for body, kl in zip(bodies, self._kl(bodies), strict=True):
            yield {**body, "kl": kl}

    def learn(self, step: int, completions: Sequence[Body]) -> dict[str, Any]:
        used = learning.used(completions, drop_truncated=self.design.truncated == "drop")
        if not used:
            raise RefusedError(
                f"Step {step}: none of the {len(completions)} answers can be learnt from.",
                kind="reward", where=f"--reward {self.design.reward}",
                next="Give numbers, not null or NaN, or leave out --truncated drop.",
            )  # fmt: skip
        rows = [row_of(body) for body in used]
        recipe = self._recipe()
        reference, old, values = self._measured(rows, recipe)
        written = learning.written(used, rows, reference=reference, old=old, values=values)
        credit = self.method.credit(written)
        behind = step * self.design.updates
        done = list(updates(self.policy.learner, self.method, rows, written, credit, recipe, first=behind))
        body = learning.body(step, completions, used, written, credit, done, self.method)
        self._count(body)
        if isinstance(self.method, PPO):
            self.method = self.method.after(learning.mean_kl(body), len(used))
        return body

    def _measured(self, rows: Sequence[Row], recipe: Recipe) -> tuple[Any, Any, Any]:
        """Log π_ref, and π_old and V where the method needs them before the first update."""
        with self.policy.start() as start:
            reference = self._read(start, rows).logprobs
        if not learning.old_needed(self.method, recipe):
            return reference, None, None
        found = self._read(self.policy.network, rows, self.policy.learner.head)
        return reference, found.logprobs, found.values

    def _read(self, network: nn.Module, rows: Sequence[Row], head: ValueHead | None = None) -> Pass:
        d, width = self.design, max(len(row.answer) for row in rows)
        return forward_quietly(network, rows, at_once=d.at_once, width=width, temperature=d.temperature, head=head)

    def _kl(self, bodies: Sequence[Body]) -> list[float]:
        """Log π − log π_ref of each whole answer, nats: its mean estimates KL(π‖start)."""
        if not bodies:
            return []
        rows = [row_of(body) for body in bodies]
        own = self._read(self.policy.network, rows).logprobs
        with self.policy.start() as start:
            other = self._read(start, rows).logprobs
        return (own - other).sum(dim=1).tolist()

    def _written(self, prompts: Sequence[Encoded], facts: Sequence[Body], each: int) -> list[Body]:
        if not prompts:
            return []
        seeds = [[one["seed"] for one in facts[n * each : (n + 1) * each]] for n in range(len(prompts))]
        self.policy.network.eval()
        groups = roll(
            self.policy.network, [prompt.ids for prompt in prompts], seeds, temperature=self.design.temperature,
            max_new_tokens=self.design.max_new_tokens, stop=stop_ids(self.policy.model),
        )  # fmt: skip
        pairs: list[tuple[Completion, Rolled]] = [
            (completion(self.policy.model, prompt, one), one)
            for prompt, group in zip(prompts, groups, strict=True)
            for one in group
        ]
        answers = [one for one, _ in pairs]
        rewards, watched = self.reward(answers), self.watch(answers) if self.watch else [None] * len(answers)
        self.work.rewards += len(answers)
        self.work.tokens_written += sum(len(one.answer_ids) for one in answers)
        return [
            body_of(*pair, fact) | {"reward": reward, "watch": other}
            for pair, fact, reward, other in zip(pairs, facts, rewards, watched, strict=True)
        ]

    def _recipe(self) -> Recipe:
        d = self.design
        return Recipe(lr=d.learning_rate, warmup_steps=d.warmup_steps, clip=d.clip, passes=d.passes,
                      minibatches=d.minibatches, at_once=d.at_once, temperature=d.temperature)  # fmt: skip

    def _count(self, body: Body) -> None:
        self.work.steps += 1
        self.work.updates += body["updates"]
        self.work.tokens_trained += body["tokens"] * self.design.passes


def method_of(design: Design) -> PolicyMethod:
    """The method, its length that of the design where it was left open. RefusedError where an option cannot hold."""
    method: Any = method_named(design.method)
    if getattr(method, "length", None) == 0:
        method = replace(method, length=design.max_new_tokens)
    if "groups" in method.needs and design.group < 2:
        raise RefusedError(
            f"{design.method} compares answers to one prompt, and --group is {design.group}.",
            kind="option", where="--group", next="Give --group 2 or more, or --method reinforce_plus_plus or ppo.",
        )  # fmt: skip
    return method


def laboratory(design: Design, sources: Sources, folder: Path) -> ModelLaboratory:
    """Load, tokenise, find the rewards. Rows that do not fit and rewards that are none are refused here."""
    method = method_of(design)
    terms = Terms(timeout=design.reward_timeout, remote=design.reward_remote, device=device_of(design))
    reward = reward_named(design.reward, terms)
    watch = reward_named(design.watch, terms, option="--watch") if design.watch else None
    trained = policy(design, folder / "latest", values="values" in method.needs)
    most = design.max_new_tokens
    training, held_out = (encoded(trained.model, rows, most) for rows in (sources.training, sources.held_out))
    return ModelLaboratory(design, sources, trained, method, reward, watch, training, held_out)

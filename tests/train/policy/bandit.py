"""A one-token bandit: a policy of free logits over a few answers with known rewards, and its optimum in closed form."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from springback.fit.loop import Fit, Summed, fit
from springback.fit.masters import MasterAdamW
from springback.train.policy.dr_grpo import DrGRPO
from springback.train.policy.written import Written

REWARDS = torch.tensor([1.0, 0.0, 0.5, 0.2, 0.8], dtype=torch.float64)
REFERENCE = torch.tensor([0.1, 0.4, 0.2, 0.25, 0.05], dtype=torch.float64)


class Bandit(nn.Module):
    """Logits of the policy, and one value for its only state."""

    def __init__(self, reference=REFERENCE):
        super().__init__()
        self.logits = nn.Parameter(reference.log().clone())
        self.value = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    @property
    def logprobs(self):
        return self.logits.log_softmax(0)

    @property
    def policy(self):
        return self.logprobs.detach().exp()


@dataclass(frozen=True)
class Course:
    """How a bandit is trained; one group of `draws` answers a step."""

    steps: int = 300
    draws: int = 2048
    lr: float = 0.05
    updates: int = 1


def solve(method, course, rewards=REWARDS, reference=REFERENCE, seed=0):
    """Train; the policy averaged over the last quarter of the steps."""
    bandit, generator = Bandit(reference), torch.Generator().manual_seed(seed)
    if isinstance(method, DrGRPO):
        method = replace(method, length=1)
    optimizer = MasterAdamW(bandit, betas=(0.9, 0.999))
    late, index = [], 0
    for step in range(course.steps):
        lr = course.lr * min(1.0, 4 * (1 - step / course.steps))
        arms = torch.multinomial(bandit.policy, course.draws, replacement=True, generator=generator)
        written = _written(bandit, arms, rewards, reference, method)
        credit = method.credit(written)
        for _ in range(course.updates if credit.kept.any() else 0):
            loss = lambda _, w=written, c=credit, a=arms: _loss(method, bandit, w, c, a)
            for _ in fit(loss, [range(course.draws)], optimizer, Fit(lr=lr, clip=100.0), first_step=index):
                index += 1
        late += [bandit.policy] if step >= 0.75 * course.steps else []
    return torch.stack(late).mean(0)


def _written(bandit, arms, rewards, reference, method):
    column = lambda x: x[:, None]
    count = len(arms)
    return Written(
        real=torch.ones(count, 1, dtype=torch.bool), rewards=rewards[arms], group=torch.zeros(count, dtype=torch.long),
        old=column(bandit.logprobs.detach()[arms]), reference=column(reference.log()[arms]),
        values=bandit.value.detach().expand(count, 1) if "values" in method.needs else None,
    )  # fmt: skip


def _loss(method, bandit, written, credit, arms):
    values = bandit.value.expand(len(arms), 1) if "values" in method.needs else None
    found = method(bandit.logprobs[arms][:, None], written, credit, values)
    return Summed(found.total, found.weight, len(arms))


def reward_optimum(beta, rewards=REWARDS, reference=REFERENCE):
    """argmax E_π[r] − β·KL(π‖ref) = ref·e^{r/β} / Z."""
    return (reference.log() + rewards / beta).softmax(0)


def k3_fixed_point(beta, rewards=REWARDS, reference=REFERENCE, *, standardised=False):
    """Where E[A ∇log π] = β·∇KL(ref‖π): π_a = β'·ref_a / (β' + m − r_a), m = E_π r, β' = β or β·std_π(r)."""
    scale = torch.tensor(beta, dtype=torch.float64)
    policy = reference
    for _ in range(200 if standardised else 1):
        policy = _at(scale, rewards, reference)
        if standardised:
            mean = (policy * rewards).sum()
            scale = (scale + beta * (policy * (rewards - mean) ** 2).sum().sqrt()) / 2
    return policy


def _at(scale, rewards, reference):
    """The one shift at which the shares sum to 1, by bisection: they fall as it grows from max r."""
    low, high = rewards.max() - scale + scale * 1e-12, rewards.max() + 1
    for _ in range(200):
        middle = (low + high) / 2
        shares = scale * reference / (scale + middle - rewards)
        low, high = (middle, high) if shares.sum() > 1 else (low, middle)
    return scale * reference / (scale + (low + high) / 2 - rewards)


def distance(one, other):
    """Total variation."""
    return float((one - other).abs().sum() / 2)

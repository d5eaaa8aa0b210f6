"""Between records and tensors: which answers are learnt from, what is found of them, and the body of a step."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from springback.experiments.rlhf.measures import of_answers
from springback.models.rows import Row
from springback.train.policy.kl import k3
from springback.train.policy.method import PolicyMethod
from springback.train.policy.updates import Update, old_needed
from springback.train.policy.written import Credit, Written

__all__ = ["body", "mean_kl", "old_needed", "used", "written"]

Body = Mapping[str, Any]


def used(completions: Sequence[Body], *, drop_truncated: bool) -> list[Body]:
    """Answers with a reward; those that ran into the length limit only where they are kept."""
    return [body for body in completions if body["reward"] is not None and (body["ended"] or not drop_truncated)]


def written(
    answers: Sequence[Body], rows: Sequence[Row], *, reference: Tensor, old: Tensor | None, values: Tensor | None
) -> Written:
    """The batch as a method is given it, on the device of the log-probabilities."""
    lengths = torch.tensor([len(row.answer) for row in rows])
    real = torch.arange(reference.shape[1]) < lengths[:, None]
    rewards = torch.tensor([body["reward"] for body in answers], dtype=reference.dtype)
    group = torch.tensor([body["group"] for body in answers])
    device = reference.device
    return Written(real.to(device), rewards.to(device), group.to(device), old, reference, values)


def body(  # noqa: PLR0913, RUF100  what one step left
    step: int,
    completions: Sequence[Body],
    answers: Sequence[Body],
    written: Written,
    credit: Credit,
    done: Sequence[Update],
    method: PolicyMethod,
) -> dict[str, Any]:
    """The body of a `step` record. Without an update there is no pass of the trainer, so the sampler's stands in."""
    own = _own(answers, written, done)
    x = torch.where(written.real.cpu(), own - _cpu(written.reference), 0.0)
    lengths = written.lengths.cpu()
    advantages = _cpu(credit.advantages).sum(dim=1) / lengths
    kept = credit.kept.cpu()
    excluded = {
        "no_reward": sum(one["reward"] is None for one in completions),
        "truncated": sum(one["reward"] is not None for one in completions) - len(answers),
        "without_spread": int((~kept).sum()),
    }
    return {
        "step": step, **of_answers(completions, answers, kl=x.sum(dim=1).tolist(),
                                   kl_k3=k3(x, torch.ones_like(x)).sum(dim=1).tolist()),
        "updates": len(done), "tokens": int(lengths.sum()), "beta": method.beta,
        "loss": [one.step.loss for one in done], "gradient_norm": [one.step.gradient_norm for one in done],
        "clipped": [one.clipped for one in done], "ratio_mean": [one.ratio_mean for one in done],
        "ratio_furthest": [one.ratio_furthest for one in done], "sampler_gap": _gap(answers, own),
        "excluded": excluded,
        "by_answer": {"index": [one["index"] for one in answers], "advantage": advantages.tolist(),
                      "kl": x.sum(dim=1).tolist()},
    }  # fmt: skip


def mean_kl(body: Body) -> float:
    """The batch's mean KL estimate of an answer, nats."""
    found = body["by_answer"]["kl"]
    return sum(found) / len(found)


def _own(answers: Sequence[Body], written: Written, done: Sequence[Update]) -> Tensor:
    """Log π of the weights that wrote."""
    if written.old is not None:
        return _cpu(written.old)
    return done[0].logprobs if done else _sampled(answers, written.real.shape[1])


def _sampled(answers: Sequence[Body], width: int) -> Tensor:
    rows = [[*one["logprobs"], *[0.0] * (width - len(one["logprobs"]))] for one in answers]
    return torch.tensor(rows, dtype=torch.float64)


def _gap(answers: Sequence[Body], own: Tensor) -> dict[str, float]:
    """|log π while sampling − log π in the trainer's pass| of a token, nats: mean and largest."""
    real = _sampled(answers, own.shape[1])
    inside = real[real != 0]
    if not len(inside):
        return {"mean": 0.0, "largest": 0.0}
    apart = (real - own.double()).abs()[real != 0]
    return {"mean": float(apart.mean()), "largest": float(apart.max())}


def _cpu(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor.detach().cpu().double()

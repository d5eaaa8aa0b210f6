"""The family as a table and as a calculator: value, d_w and d_l of a loss at the numbers of one pair, in float64.

    d_w = −∂ℓ/∂log π_w          d_l = ∂ℓ/∂log π_l          per nat of *summed* log-probability, by autograd

A positive d_w pushes the chosen answer up, a positive d_l pushes the rejected one down. Which way an answer then moves
is another question: its gradient has an inner product with the other's (`train/entanglement`).
"""

import ast
import inspect
import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from springback.experiments.loss_point import ALWAYS, NUMBERS, Point, refused

if TYPE_CHECKING:
    from torch import Tensor

    from springback.train.preference.method import Method
    from springback.train.preference.pairs import PairLogprobs

PAIRED: Final = ("chosen", "rejected")
REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "reference": ("ref_chosen", "ref_rejected"),
    "lengths": ("chosen_tokens", "rejected_tokens"),
    "tokens": ("chosen_tokens", "rejected_tokens"),
    "collision": ("chosen_tokens", "rejected_tokens"),
    "prompt": ("prompt", "prompt_tokens"),
}
"""Numbers that a need must be given."""
OPTIONAL: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "collision": (("chosen_collision", "rejected_collision"), "log Σ_v π(v)² is 0 at every token"),
    "divergence": (("chosen_divergence", "rejected_divergence"), "KL(π_ref ‖ π) along both answers is 0"),
    "mismatched": (("z",), "z is 0"),
    "samples": (("samples", "ref_samples"), "the chosen answer is the only sample"),
}
"""Numbers that a need may be given, and what is assumed otherwise."""


def described(name: str, method: "Method") -> dict[str, Any]:
    """What a method states about itself. `options` hold what it was made with."""
    paper = method.paper
    return {
        "name": name,
        "paper": {"key": paper.key, "title": paper.title, "url": paper.url} if paper else None,
        "needs": sorted(method.needs),
        "options": options_of(method),
        "formula": method.formula,
        "breaks": sorted(method.breaks),
    }


def options_of(method: "Method") -> dict[str, Any]:
    """Of each option its value, its default and its docstring."""
    if not is_dataclass(method) or "call" in {field.name for field in fields(method)}:
        return {}
    docs = field_docs(type(method))
    return {
        field.name: {"value": getattr(method, field.name), "default": field.default, "doc": docs.get(field.name, "")}
        for field in fields(method)
    }


def field_docs(of: type) -> dict[str, str]:
    """The string under each field of a class."""
    body = ast.parse(textwrap.dedent(inspect.getsource(of))).body[0]
    assert isinstance(body, ast.ClassDef)
    pairs = zip(body.body, body.body[1:], strict=False)
    return {
        line.target.id: " ".join(doc.value.value.split())
        for line, doc in pairs
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
        if isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant) and isinstance(doc.value.value, str)
    }


def missing(method: "Method", point: Point) -> list[str]:
    """Numbers of a pair that the method needs and that were not given, in their usual order."""
    wanted = {*PAIRED, *(key for need in method.needs for key in REQUIRED.get(need, ()))}
    return [key for key in NUMBERS if key in wanted and key not in point.numbers]


def unused(methods: Iterable["Method"], point: Point) -> list[str]:
    """Numbers beyond those of any pair that none of the methods reads."""
    return [key for key in point.numbers if key not in ALWAYS and not any(_reads(method, key) for method in methods)]


def evaluated(name: str, method: "Method", point: Point) -> dict[str, Any]:
    """Value, d_w and d_l, which way each log-probability is pushed, and what was assumed.

    RefusedError where a number is missing; `value` is None, with the reason, where the result is no number.
    """
    if "embeddings" in method.needs:
        raise refused(f"{name} is a loss of hidden states: it pushes at no log-probability", "Leave --at out.")
    if lacking := missing(method, point):
        raise refused(f"{name} needs {', '.join(lacking)}", f"{lacking[0]}: {NUMBERS[lacking[0]]}.")
    value, up, down = _numbers(method, point)
    found = {"assumed": list(_assumed(method, point))}
    if not all(math.isfinite(number) for number in (value, up, down)):
        return {**found, "value": None, "d_w": None, "d_l": None, "why": f"not finite: {value}, {up}, {down}"}
    pushes = {"chosen": _way(up), "rejected": _way(-down)}
    value, up, down = (number + 0.0 for number in (value, up, down))  # no −0
    return {**found, "value": value, "d_w": up, "d_l": down, "pushes": pushes}


def _way(push: float) -> str:
    return "up" if push > 0 else "down" if push < 0 else "not"


def _numbers(method: "Method", point: Point) -> tuple[float, float, float]:
    from springback.train.entanglement import gradient_weights

    policy, reference = _pair(method, point, ""), _pair(method, point, "ref_")
    loss = _of_pairs(_at_z(method, policy, reference, point), point)
    found = gradient_weights(loss, policy, reference)
    return loss(policy, reference).item(), found.chosen.item() + 0.0, found.rejected.item() + 0.0


def _pair(method: "Method", point: Point, whose: str) -> "PairLogprobs":
    """Everything that a method may read of the one pair; the tokens of an answer are equally likely."""
    from springback.train.preference.pairs import Both, BothByToken, PairLogprobs, Prompts

    chosen, rejected = (_row(point.one(whose + side, 0.0)) for side in PAIRED)
    counts = [int(point.one(f"{side}_tokens", 1.0)) for side in PAIRED]
    spread = [(total / count).expand(count)[None] for total, count in zip((chosen, rejected), counts, strict=True)]
    each = [point.one(f"{side}_collision", 0.0) for side in PAIRED]
    collision = [_row(value).expand(count)[None] for value, count in zip(each, counts, strict=True)]
    return PairLogprobs(
        chosen,
        rejected,
        tokens=Both(*(_row(float(count)) for count in counts)),
        by_token=BothByToken(*spread) if "tokens" in method.needs else None,
        collision=BothByToken(*collision),
        divergence=Both(*(_row(point.one(f"{side}_divergence", 0.0)) for side in PAIRED)),
        prompt=Prompts(_row(point.one("prompt", 0.0)), _row(point.one("prompt_tokens", 0.0))),
        mismatched=_row(0.0 if whose else point.one("z", 0.0)),
    )


def _row(value: float) -> "Tensor":
    import torch

    return torch.tensor([value], dtype=torch.float64)


def _at_z(method: "Method", policy: "PairLogprobs", reference: "PairLogprobs", point: Point) -> "Method":
    """AlphaDPO with the running mean that gives the pair this z."""
    from springback.train.preference.alpha_dpo import AlphaDPO

    if not isinstance(method, AlphaDPO) or "z" not in point.numbers:
        return method
    margin = policy.mean_over(reference).margin.item()
    return replace(method, mean=margin - point.one("z") * method.deviation)


def _of_pairs(method: "Method", point: Point) -> Any:
    from springback.train.preference.on_pairs import per_pair
    from springback.train.preference.samples import SampledLogprobs

    if "samples" not in method.needs or "samples" not in point.numbers:
        return lambda policy, reference: per_pair(method, policy, reference)
    own, theirs = (_samples(point, key) for key in ("samples", "ref_samples"))
    return lambda policy, reference: method(
        SampledLogprobs(own, policy.rejected), SampledLogprobs(theirs, reference.rejected)
    )


def _samples(point: Point, key: str) -> "Tensor":
    import torch

    return torch.tensor([point.numbers[key]], dtype=torch.float64)


def _assumed(method: "Method", point: Point) -> Iterator[str]:
    if "tokens" in method.needs:
        yield "the tokens of an answer are equally likely"
    for need, (keys, words) in OPTIONAL.items():
        if need in method.needs and not all(key in point.numbers for key in keys):
            yield f"{words} ({'=, '.join(keys)}= say otherwise)"
    if "each pair alone" in method.breaks:
        yield "the batch is this pair alone"
    if "lists" in method.needs:
        yield "the two answers are the whole list"
    if "labels" in method.needs and "pairs" not in method.needs:
        yield "the mean of the pair's two examples"
    if "statistics" in method.needs:
        yield "the running statistics are as the options say"


def _reads(method: "Method", key: str) -> bool:
    from springback.train.preference.alpha_dpo import AlphaDPO

    required = (keys for need, keys in REQUIRED.items() if need in method.needs)
    optional = (keys for need, (keys, _) in OPTIONAL.items() if need in method.needs)
    return any(key in keys for keys in (*required, *optional)) or (key == "z" and isinstance(method, AlphaDPO))

"""What the general condition says of each pair under a loss and a cure, from stored inner products: no network.

    chosen falls  ⇔  d_w ww < d_l wl          rejected rises  ⇔  d_w wl > d_l ll          (at the start)

It speaks of a step of plain descent on the pair alone. The trainings are Adam's, in batches; how far it carries there
is what the study measures.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import torch

from springback.experiments.entangle import cures, pulls
from springback.experiments.entangle.agreement import share
from springback.experiments.entangle.cures import Numbers, Pulls
from springback.stats.measured import mean
from springback.train.cures.anchor import Anchor
from springback.train.cures.calibrated import Calibrated
from springback.train.cures.choose import cure_named
from springback.train.cures.normalised import Normalised
from springback.train.entanglement import Grams, Weights
from springback.train.preference.choose import loss_named
from springback.train.preference.method import Law, Method
from springback.train.preference.own import Own
from springback.train.preference.pairs import Both, PairLogprobs

TOKENS: Final = "it weighs tokens, so other gradients count than those of whole answers"
COLLISION: Final = "it needs Σ π² of every token, which is not stored"
LAW: Final[Law] = "only the margin matters"
ADAM: Final = "in Adam's norms; its first step is the Euclidean one, which is predicted"
LATER: Final = "one ratio, from the mean norms of all pairs; its first step is not calibrated yet"


def predicted(loss: str, cure: str, columns: Mapping[str, list[float]], *, batch: int) -> dict[str, Any]:
    """The body of a `predicted` record but for its key; `why` where the condition does not describe the method."""
    method = loss_named(loss)
    why = pulls.why_not(method)
    if why is None and pulls.asked(method, named=loss).collision:
        why = COLLISION
    change, note = _cure(cure, method)
    told = {"margin_only": isinstance(method, Method) and not isinstance(method, Own) and LAW not in method.breaks}
    if why is not None or change is None:
        return {"why": why or note, "same_pull": None, **told}
    pull = change(_pulls(method, loss, columns, batch), _numbers(columns))
    chosen, rejected = pull.changes(_numbers(columns))
    return {
        **told, "why": None, "note": note, "d_w": pull.chosen.tolist(), "d_l": pull.rejected.tolist(),
        "same_pull": bool((pull.chosen == pull.rejected).all()),
        "changes": {"chosen": chosen.tolist(), "rejected": rejected.tolist()},
        "chosen_falls": share(chosen < 0, over="pairs").json(),
        "rejected_rises": share(rejected > 0, over="pairs").json(),
        "margin_shrinks": share(chosen < rejected, over="pairs").json(),
        "mean": {
            "chosen": mean(chosen, over="pairs", unit="nat per lr").json(),
            "rejected": mean(rejected, over="pairs", unit="nat per lr").json(),
        },
    }  # fmt: skip


def _pulls(method: Any, named: str, columns: Mapping[str, list[float]], batch: int) -> Pulls:
    """d_w and d_l where policy and reference are the start."""
    tensor = lambda name: torch.tensor(columns[name], dtype=torch.float64)
    start = PairLogprobs(
        tensor("chosen"), tensor("rejected"), tokens=Both(tensor("chosen_tokens"), tensor("rejected_tokens"))
    )
    asked, many = pulls.asked(method, named=named), len(columns["ww"])
    size = many if asked.alone else batch
    parts = [range(first, min(first + size, many)) for first in range(0, many, size)]
    found = pulls.in_batches(asked.loss, start, start, parts)
    return Pulls(found.chosen.numpy(), found.rejected.numpy())


def _numbers(columns: Mapping[str, list[float]]) -> Numbers:
    column = lambda name: np.array(columns[name], dtype=np.float64)
    return Numbers(column("ww"), column("ll"), column("wl"), np.zeros(len(columns["ww"])), column("chosen_tokens"))


Change = Callable[[Pulls, Numbers], Pulls]


def _cure(cure: str, method: Any) -> tuple[Change | None, str]:
    """What the cure makes of the pulls at the start, and what to know of it; None with the reason."""
    found: Any = cure_named(cure, method)
    if found is None:
        return (lambda pull, of: pull), ""
    if isinstance(found, Normalised):
        return _normalised(found), ADAM if found.inner == "adam" else ""
    if isinstance(found, Anchor):
        return (lambda pull, of: cures.anchored(pull, of, weight=found.weight)), ""
    return (cures.calibrated, LATER) if isinstance(found, Calibrated) else (None, TOKENS)


def _normalised(found: Normalised) -> Change:
    def change(pull: Pulls, of: Numbers) -> Pulls:
        grams = Grams(*(torch.from_numpy(column) for column in (of.ww, of.ll, of.wl)))
        new = found.rule()(grams, Weights(torch.from_numpy(pull.chosen), torch.from_numpy(pull.rejected)))
        return Pulls(new.chosen.numpy(), new.rejected.numpy())

    return change

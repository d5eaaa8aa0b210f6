"""Where a model stands on a set of preference data: both log-probabilities, margin, accuracy, KL, and two probes.

Everything is compared with the reference (the model before training, where the loss has none), read by the same
function over the same rows, so that an untouched model differs by exactly 0. Log-probabilities are sums over the
answer and its stop token, nats.

    change    log π(y|x) − log π_ref(y|x) of each answer         margin    change of chosen − change of rejected
    greedy    change of the answer that the start writes itself   unrelated change of another prompt's chosen answer

All four falling is a model that spreads its mass (plain shrinkage); chosen and unrelated falling while the greedy
answer rises is displacement.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from springback.models.generate import sample
from springback.models.language_model import LanguageModel
from springback.models.layout import chosen as spread
from springback.models.pair_tokens import Item, LabelledRow, RankedRows
from springback.models.readout import text_config
from springback.models.rows import Row, RowPair
from springback.models.score import answer_logits, token_logprobs
from springback.models.tokens import stop_ids
from springback.stats.measured import Measured, mean, ratio_of_sums, unmeasured
from springback.tensors.divergences import NATS_TO_BITS, kl_bits

LOGITS: Final = 128 * 2**20
"""Bytes of the reference's logits that are held for the KL; it is read along as many chosen answers as fit."""
UNPAIRED = "labelled answers are in no pairs"
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Set:
    """Rows that are read again and again."""

    name: str
    chosen: tuple[Row, ...]
    """Chosen answers; the best of ranked ones; wanted ones."""
    rejected: tuple[Row, ...]
    paired: bool = True
    greedy: tuple[Row, ...] = ()
    unrelated: tuple[Row, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        return *self.chosen, *self.rejected, *self.greedy, *self.unrelated


@dataclass(frozen=True, slots=True)
class Baseline:
    """The reference on a set."""

    logprobs: Values
    """Of `Set.rows`, in their order."""
    logits: tuple[Tensor, ...] = ()
    """Along the first chosen answers; empty where no KL is read."""


def set_of(name: str, items: Sequence[Item], most: int) -> Set:
    """At most `most` of the items, evenly spaced."""
    taken = [items[place] for place in (spread(len(items), most) if len(items) > 1 else range(len(items)))]
    if isinstance(items[0], LabelledRow):
        labelled = [item for item in taken if isinstance(item, LabelledRow)]
        wanted, other = (tuple(each.row for each in labelled if each.wanted is side) for side in (True, False))
        return Set(name, wanted, other, paired=False)
    ends = [(item.chosen, item.rejected) if isinstance(item, RowPair) else _ends(item) for item in taken]
    return Set(name, tuple(chosen for chosen, _ in ends), tuple(rejected for _, rejected in ends))


def probed(model: LanguageModel, found: Set, most: int, *, prompts: int) -> Set:
    """The set with its probes: what the network writes greedily now, and chosen answers to other prompts.

    Of so many prompts at most, with so many tokens at most.
    """
    asked = list(dict.fromkeys(row.prompt for row in found.chosen))[:prompts]
    if not asked:
        return found
    stop = stop_ids(model)
    written = sample(model.network, asked, max_new_tokens=most, stop=stop, temperature=0.0)
    greedy = tuple(Row(prompt, one.ids, int(one.ended), 0) for prompt, one in zip(asked, written, strict=True))
    return replace(found, greedy=greedy, unrelated=unrelated(found.chosen, asked))


def baseline(network: nn.Module, found: Set, *, kl: bool) -> Baseline:
    """The reference's log-probabilities of the set and, for the KL, its logits along the first chosen answers."""
    return Baseline(_sums(network, found.rows), tuple(answer_logits(network, _within(network, found))) if kl else ())


def reading(network: nn.Module, found: Set, base: Baseline, step: int) -> dict[str, Any]:
    """The body of a `reading` record."""
    now = _sums(network, found.rows)
    change = now - base.logprobs
    parts = dict(zip(("chosen", "rejected", "greedy", "unrelated"), _parts(found), strict=True))
    chosen, rejected = parts["chosen"], parts["rejected"]
    return {
        "step": step, "set": found.name,
        **{name: _side(now[part], change[part], rows) for name, part, rows in (
            ("chosen", chosen, found.chosen), ("rejected", rejected, found.rejected))},
        **_margins(found, now, change, chosen, rejected),
        "kl": _kl(network, found, base).json(),
        **{name: _probe(change[parts[name]]).json() for name in ("greedy", "unrelated")},
        "values": {"chosen": now[chosen].tolist(), "rejected": now[rejected].tolist()},
    }  # fmt: skip


def _margins(found: Set, now: Values, change: Values, chosen: slice, rejected: slice) -> dict[str, Any]:
    if not found.paired:
        nothing = unmeasured(UNPAIRED).json()
        return {"margin": nothing, "accuracy": nothing, "reward_accuracy": nothing}
    margin = change[chosen] - change[rejected]
    return {
        "margin": mean(margin, over="pairs", unit="nat").json(),
        "accuracy": _share(now[chosen] - now[rejected]).json(),
        "reward_accuracy": _share(margin).json(),
    }


def _side(now: Values, change: Values, rows: Sequence[Row]) -> dict[str, Any]:
    lengths = np.array([len(row.answer) for row in rows], dtype=np.float64)
    return {
        "logprob": mean(now, over="answers", unit="nat").json(),
        "change": mean(change, over="answers", unit="nat").json(),
        "change_per_token": mean(change / lengths, over="answers", unit="nat/token").json(),
    }


def _share(values: Values) -> Measured:
    """Share of pairs above 0, one at 0 counted half: an untouched model has neither won nor lost. Within [0, 1]."""
    found = mean((np.sign(values) + 1) / 2, over="pairs", unit="share")
    if found.low is None or found.high is None:
        return found
    return replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def _probe(change: Values) -> Measured:
    if not len(change):
        return unmeasured("read on held-out prompts only, where there are at least two of them")
    return mean(change, over="prompts", unit="nat")


def _kl(network: nn.Module, found: Set, base: Baseline) -> Measured:
    """KL(reference‖θ) at every token of the chosen answers, exact over the vocabulary, nats per token."""
    if not base.logits:
        return unmeasured("read on held-out answers only")
    rows = _within(network, found)
    own = answer_logits(network, rows)
    sums = [float(kl_bits(one, other).sum()) / NATS_TO_BITS for one, other in zip(base.logits, own, strict=True)]
    return ratio_of_sums(sums, [len(row.answer) for row in rows], over="answers", unit="nat/token")


def _within(network: nn.Module, found: Set) -> list[Row]:
    """The first chosen answers whose logits fit into `LOGITS`, at least two where there are as many."""
    width = text_config(network).vocab_size * next(network.parameters()).element_size()
    ends = np.cumsum([len(row.answer) * width for row in found.chosen])
    return list(found.chosen[: max(2, int((ends <= LOGITS).sum()))])


@torch.no_grad()
def _sums(network: nn.Module, rows: Sequence[Row]) -> Values:
    return np.array([float(tokens.sum()) for tokens in token_logprobs(network, rows)])


def _parts(found: Set) -> list[slice]:
    sizes = np.cumsum([0, len(found.chosen), len(found.rejected), len(found.greedy), len(found.unrelated)])
    return [slice(int(a), int(b)) for a, b in pairwise(sizes)]


def _ends(item: Item) -> tuple[Row, Row]:
    assert isinstance(item, RankedRows)
    return item.rows[0], item.rows[-1]


def unrelated(rows: Sequence[Row], prompts: Sequence[tuple[int, ...]]) -> tuple[Row, ...]:
    """For each prompt the next chosen answer that belongs to another one; none where all prompts are the same."""
    found = []
    for prompt in prompts:
        first = next(place for place, row in enumerate(rows) if row.prompt == prompt)
        others = (rows[(first + step) % len(rows)] for step in range(1, len(rows)))
        other = next((row for row in others if row.prompt != prompt), None)
        if other is not None:
            found.append(Row(prompt, other.answer, other.stop, other.answer_bytes))
    return tuple(found)

"""The inner products of pairs, by the quick way where it was tried on this very network, else by the plain one."""

from collections.abc import Collection, Sequence
from typing import Literal

from torch import nn

from springback.models.rows import RowPair
from springback.train.entanglement.counted import counted
from springback.train.entanglement.ghost import ghost_products
from springback.train.entanglement.gram import Inner
from springback.train.entanglement.lines import UnknownModuleError
from springback.train.entanglement.plain import plain_products
from springback.train.entanglement.stretches import refuse_unreadable
from springback.train.entanglement.tables import Metric
from springback.train.entanglement.trial import known

Way = Literal["auto", "ghost", "plain"]


def inner_products(
    network: nn.Module,
    pairs: Sequence[RowPair],
    *,
    method: Way = "auto",
    parameters: Collection[str] | None = None,
    metric: Metric | None = None,
) -> Inner:
    """‖g_w‖², ‖g_l‖² and ⟨g_w, g_l⟩ of every pair, by parameter, with and without the answers' common prefix.

    `parameters` names what counts; without it, what requires a gradient (`ValueError` where nothing does). `metric`
    takes all products in ⟨x, P y⟩ with a diagonal P by parameter name, Adam's 1/(√v̂ + ε) for one: exact, by forming
    each answer's gradient of one matrix at a time. `auto` and `ghost` go the quick way where it was tried and holds.
    `RefusedError` for a network in training mode, and for a pair without a prompt or beyond the model's context.
    """
    refuse_unreadable(network, [(pair.chosen, pair.rejected) for pair in pairs])
    names = counted(network, parameters)
    if method == "plain":
        return Inner(plain_products(network, pairs, names, metric=metric), None)
    facts = known(network, names)
    why = facts.why
    if why is None:
        try:
            return Inner(ghost_products(network, pairs, facts, metric=metric), None)
        except UnknownModuleError as unknown:
            why = str(unknown)
    return Inner(plain_products(network, pairs, names, metric=metric), f"Whole backward passes, one an answer: {why}.")

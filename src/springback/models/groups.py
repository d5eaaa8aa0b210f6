"""Several answers to each of several prompts as one forward pass in which every prompt stands once.

A group is a prompt with all its answers behind it, none seeing another (`models.group_layout`): K answers of R tokens
cost P + K·R tokens instead of K·(P + R). Exact where `packing.why_not` finds nothing against it, elsewhere every answer
stands in a padded row of its own. What is cheapest is counted: nothing but the network and the lengths decides.
"""

from collections.abc import Iterator, Sequence
from weakref import WeakKeyDictionary

import torch
from torch import nn

from springback.models.group_attention import GroupMask, available
from springback.models.group_layout import Bins, Group, blocks, layout, tokens, width_of
from springback.models.packing import CLOSE, TOKEN, Inputs, reach, why_not
from springback.models.readout import quiet, read, text_config
from springback.models.rows import Row, pad_right

__all__ = ["Group", "apart", "cheapest", "check", "grouped", "together", "tokens"]

LONGEST = 4096
"""Most tokens of a batch row that holds several groups: its mask takes the square of it."""
PROBE = [[[Row((1, 2, 3), (4, 5, 6), 1, 0), Row((1, 2, 3), (7, 8), 1, 0)], [Row((9, 2, 5, 4), (3, 6), 1, 0)] * 3]]
_blockwise: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
"""Query heads a head of keys where attention may be computed by blocks, else 0."""


def grouped(network: nn.Module, groups: Sequence[Group]) -> Inputs:
    """Inputs with one batch row a group, or one an answer where that is exact only or cheaper.

    Wanted positions stand group by group and row by row, each in its order; an answer without tokens has none. Groups
    may have any number of answers. `ValueError` where a group has no row, two prompts, or an empty one.
    """
    return _cheapest(network, groups, [[[group] for group in groups]])


def cheapest(network: nn.Module, groups: Sequence[Group]) -> Inputs:
    """Like `grouped`; several groups may share a batch row, so that less is padding."""
    return _cheapest(network, groups, [[[group] for group in groups], list(_filled(network, groups))])


def together(network: nn.Module, bins: Bins) -> Inputs:
    """The groups of each batch row, kept apart by a mask of its own."""
    placed = layout(bins)
    weight = next(network.parameters())
    seen = placed.seen[:, None]
    mask = torch.zeros(seen.shape, dtype=weight.dtype).masked_fill_(~seen, torch.finfo(weight.dtype).min)
    mask = mask.to(weight.device)
    arguments = {
        "input_ids": placed.ids.to(weight.device),
        "position_ids": placed.places.to(weight.device),
        "attention_mask": GroupMask.of(mask, blocks(bins), repeats) if (repeats := _by_blocks(network)) else mask,
        "use_cache": False,
    }
    return Inputs(arguments, placed.wanted)


def apart(network: nn.Module, groups: Sequence[Group]) -> Inputs:
    """One batch row an answer, filled up on the right: behind its end, where a causal network never looks."""
    rows = [row for group in groups for row in group]
    rectangle = pad_right([row.prompt + row.answer[:-1] for row in rows])
    first, end = (torch.tensor([[place] for place in places]) for places in zip(*map(_span, rows), strict=True))
    column = torch.arange(rectangle.ids.shape[1])
    device = next(network.parameters()).device
    ids = rectangle.ids.to(device)
    arguments = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": False}
    return Inputs(arguments, (first <= column) & (column < end))


def check(groups: Sequence[Group]) -> None:
    """`ValueError` where these are no groups."""
    if not groups:
        raise ValueError("there must be at least one prompt")
    for index, group in enumerate(groups):
        if not group or any(row.prompt != group[0].prompt for row in group):
            raise ValueError(f"group {index} must have rows, all with the same prompt tokens")
        if not group[0].prompt:
            raise ValueError(f"group {index} has an empty prompt: nothing predicts the first token of its answers")


def _cheapest(network: nn.Module, groups: Sequence[Group], ways: Sequence[Bins]) -> Inputs:
    check(groups)
    size = text_config(network).hidden_size
    within = [bins for bins in ways if max(map(width_of, bins)) <= reach(network)]
    if within and why_not(network) is None:
        best = min(within, key=lambda bins: _cost(network, bins, size))
        if _cost(network, best, size) < _cost_apart(groups, size):
            return together(network, best)
    return apart(network, groups)


def _filled(network: nn.Module, groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Groups in their order, as many in a batch row as the network reaches."""
    row: list[Group] = []
    for group in groups:
        if row and width_of([*row, group]) > min(reach(network), LONGEST):
            yield row
            row = []
        row.append(group)
    yield row


def _cost(network: nn.Module, bins: Bins, size: int) -> float:
    """As in `packing`: attention's products, and the matrix products of every token in units of them."""
    width = max(map(width_of, bins))
    area = sum(block.area for block in blocks(bins)) if _by_blocks(network) else len(bins) * width * width
    return area + TOKEN * size * len(bins) * width


def _cost_apart(groups: Sequence[Group], size: int) -> float:
    longest, count = max(len(row) for group in groups for row in group) - 1, sum(map(len, groups))
    return count * longest * (longest + TOKEN * size)


def _by_blocks(network: nn.Module) -> int:
    """How many query heads share a head of keys, where attention by blocks gives what the plain mask gives; or 0."""
    if network not in _blockwise:
        _blockwise[network] = 0  # while it is being found out
        if next(network.parameters()).device.type == "cpu" and available():
            with quiet(network):
                _blockwise[network] = next((n for n in (_repeats(network), 1) if _same_by_blocks(network, n)), 0)
    return _blockwise[network]


def _repeats(network: nn.Module) -> int:
    config = text_config(network)
    heads, of_keys = getattr(config, "num_attention_heads", 1), getattr(config, "num_key_value_heads", None)
    return heads // of_keys if of_keys and heads % of_keys == 0 else 1


def _same_by_blocks(network: nn.Module, repeats: int) -> bool:
    """Compared call by call, each with the same inputs: in bfloat16 logits differ with everything that rounds."""
    inputs = together(network, PROBE)
    mask = GroupMask.of(inputs.arguments["attention_mask"], blocks(PROBE), repeats)
    mask.distances = []
    for _ in read(network, inputs.arguments | {"attention_mask": mask}, inputs.wanted).logits(64):
        pass
    return bool(mask.distances) and max(map(float, mask.distances)) <= CLOSE[mask.dtype]


def _span(row: Row) -> tuple[int, int]:
    """First and end of the positions that predict the answer."""
    return len(row.prompt) - 1, len(row) - 1

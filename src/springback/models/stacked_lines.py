"""Rows of several adapters as the lines of one batch: neighbouring lines belong to one adapter.

Either each row is a line, filled up on the right; or each adapter's rows are one line, packed as in `packing` with
their common beginning once, and the lines are filled up. The cheaper of the two that is exact in this network is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor, nn

from springback.models.packing import REACHES, TOKEN, Inputs, packed, padded, why_not
from springback.models.readout import text_config
from springback.models.rows import Row, common_prefix


@dataclass(frozen=True, slots=True)
class Batch:
    """Arguments of one forward pass, whose lines are whose, and where the answers' predictions stand."""

    arguments: dict[str, Any]
    wanted: Bool[Tensor, "batch time"]
    """Marks what predicts answer tokens: adapter after adapter, row after row, each in its order."""
    counts: tuple[int, ...]
    """Lines of each adapter."""
    time: int
    """Positions of a line."""


def cheapest(network: nn.Module, groups: Sequence[Sequence[Row]]) -> Batch:
    """One group of rows for each adapter; an empty one has no line. `ValueError` where all are empty."""
    if not any(groups):
        raise ValueError("No adapter has a row in this batch.")
    way = packed_lines if _packs(network, [group for group in groups if group]) else padded_lines
    return way(network, groups)


def padded_lines(network: nn.Module, groups: Sequence[Sequence[Row]]) -> Batch:
    """Each row is a line."""
    found = padded(network, [row for group in groups for row in group])
    return Batch(found.arguments, found.wanted, tuple(map(len, groups)), found.wanted.shape[1])


def packed_lines(network: nn.Module, groups: Sequence[Sequence[Row]]) -> Batch:
    """Each adapter's rows are a line; what fills it up sees itself and is seen by nothing before it."""
    lines = [packed(network, group) for group in groups if group]
    time = max(line.wanted.shape[1] for line in lines)
    arguments = {name: torch.cat([_wide(line, name, time) for line in lines]) for name in _FILLED}
    wanted = torch.cat([F.pad(line.wanted, (0, time - line.wanted.shape[1])) for line in lines])
    return Batch({**arguments, "use_cache": False}, wanted, tuple(int(bool(group)) for group in groups), time)


_FILLED = ("input_ids", "position_ids", "attention_mask")


def _wide(line: Inputs, name: str, time: int) -> Tensor:
    """An argument of one line, `time` positions wide."""
    tensor, extra = line.arguments[name], time - line.wanted.shape[1]
    if name != "attention_mask":
        return F.pad(tensor, (0, extra))
    wide = F.pad(tensor, (0, extra, 0, extra), value=torch.finfo(tensor.dtype).min)
    wide.diagonal(dim1=-2, dim2=-1)[..., time - extra :] = 0
    return wide


def _packs(network: nn.Module, groups: Sequence[Sequence[Row]]) -> bool:
    config = text_config(network)
    reach = min((found for name in REACHES if (found := getattr(config, name, None))), default=None)
    together = max(map(_together, groups))
    longest = max(len(row) for group in groups for row in group)
    if reach is not None and together > reach:
        return False
    rectangle = longest * sum(map(len, groups))
    packing = together * len(groups) * (together + TOKEN * config.hidden_size)
    return packing < rectangle * (longest + TOKEN * config.hidden_size) and why_not(network) is None


def _together(group: Sequence[Row]) -> int:
    """Tokens of a packed line."""
    return sum(map(len, group)) - common_prefix([row.prompt for row in group]) * (len(group) - 1)

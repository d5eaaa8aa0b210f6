"""Several rows as one sequence: what they begin with once, then each row's rest, seeing only its own beginning.

    prompt's common beginning | rest of row 0 | rest of row 1 | …

No token is padding and the shared beginning is computed once, so a batch of short rows costs two thirds of the padded
one. Rows are kept apart by the attention mask and told their positions; that is exact in any decoder which obeys both,
and wrong in one that does not (state spaces, linear attention, positions taken from the mask). So the network is tried
once: changing one row must leave the others' logits bit-equal, and packed logits must be those of the row alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from springback.models.readout import accepts, quiet, read, text_config
from springback.models.rows import Row, common_prefix, pad_right

PROBE = (Row((1, 2, 3, 4), (5, 6, 7, 8), 1, 0), Row((1, 2, 3), (9, 5, 6), 1, 0), Row((1, 2, 4, 3, 2), (8, 7), 1, 0))
CLOSE = {torch.bfloat16: 0.05, torch.float16: 0.02, torch.float32: 1e-3, torch.float64: 1e-9}
"""Largest root mean square difference between packed and single logits, relative to that of the logits' spread."""
TOKEN = 1.5
"""Cost of a token's matrix products, in units of one attention weight, per unit of the model's width; measured on two
CPU cores in bfloat16 (matrix products 280 Gflop/s, masked attention 70)."""
REACHES = ("max_position_embeddings", "sliding_window", "window_size", "attention_window_size", "attention_chunk_size")
"""Configuration fields that bound how far attention or its buffers reach, in tokens; a longer pack is not tried."""
_packable: WeakKeyDictionary[nn.Module, str | None] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Inputs:
    """Arguments of one forward pass, and where its answers' predictions stand."""

    arguments: dict[str, Any]
    wanted: Bool[Tensor, "batch time"]
    """Marks the positions that predict answer tokens, row after row, each in its order."""


def packed(network: nn.Module, rows: Sequence[Row]) -> Inputs:
    """All rows as one sequence. The last answer token of a row is no input: nothing is predicted from it."""
    shared = common_prefix([row.prompt for row in rows])
    rests = [(row.prompt + row.answer[:-1])[shared:] for row in rows]
    owner = torch.tensor([-1] * shared + [index for index, rest in enumerate(rests) for _ in rest])
    ids = torch.tensor([*rows[0].prompt[:shared], *(token for rest in rests for token in rest)])
    places = torch.tensor([*range(shared), *(place for rest in rests for place in range(shared, shared + len(rest)))])
    starts = torch.tensor([len(row.prompt) - 1 for row in rows])
    seen = (owner[:, None] == owner) | (owner == -1)
    weight = next(network.parameters())
    mask = torch.zeros(seen.shape, dtype=weight.dtype).masked_fill(~seen.tril(), torch.finfo(weight.dtype).min)
    arguments = {
        "input_ids": ids[None].to(weight.device),
        "position_ids": places[None].to(weight.device),
        "attention_mask": mask.to(weight.device)[None, None],
        "use_cache": False,
    }
    return Inputs(arguments, ((owner >= 0) & (places >= starts[owner]))[None])


def padded(network: nn.Module, rows: Sequence[Row]) -> Inputs:
    """One row below the other, filled up on the right."""
    rectangle = pad_right([row.prompt + row.answer[:-1] for row in rows])
    first = torch.tensor([[len(row.prompt) - 1] for row in rows])
    device = next(network.parameters()).device
    arguments = {"input_ids": rectangle.ids.to(device), "attention_mask": rectangle.real.long().to(device)}
    wanted = rectangle.real & (torch.arange(rectangle.ids.shape[1]) >= first)
    return Inputs(arguments | {"use_cache": False}, wanted)


def cheapest(network: nn.Module, rows: Sequence[Row]) -> Inputs:
    """Packed where that is exact in this network and cheaper for these rows, else padded; depends on nothing else."""
    return packed(network, rows) if _cheaper(network, rows) and why_not(network) is None else padded(network, rows)


def why_not(network: nn.Module) -> str | None:
    """Why rows may not be packed in this network, or None where they may; tried once for each network object."""
    if network not in _packable:
        with quiet(network):
            _packable[network] = _fault(network)
    return _packable[network]


def reach(network: nn.Module) -> int:
    """How many tokens the network's attention and its buffers are sure to reach."""
    config = text_config(network)
    return min((found for name in REACHES if (found := getattr(config, name, None))), default=2**31)


def _cheaper(network: nn.Module, rows: Sequence[Row]) -> bool:
    longest, shared = max(map(len, rows)), common_prefix([row.prompt for row in rows])
    together, rectangle = sum(map(len, rows)) - shared * (len(rows) - 1), longest * len(rows)
    if together > reach(network):
        return False
    width = text_config(network).hidden_size
    return _cost(together, together, width) < _cost(rectangle, longest, width)


def _cost(tokens: int, seen: int, width: int) -> float:
    return tokens * (seen + TOKEN * width)


def _fault(network: nn.Module) -> str | None:
    if not accepts(network, "position_ids") or not accepts(network, "attention_mask"):
        return "it takes no positions or no mask"
    try:
        found = _logits(network, packed(network, PROBE)).split([len(row.answer) for row in PROBE])
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
        return f"it takes no mask of its own for each token ({type(error).__name__})"
    if not all(map(_same, found, _alone(network))):
        return "packed logits are not those of the rows alone"
    return None if all(_apart(network, index, found) for index in range(len(PROBE))) else "rows see each other"


def _apart(network: nn.Module, index: int, found: Sequence[Tensor]) -> bool:
    """Other answer tokens in one row leave the other rows bit-equal."""
    row = PROBE[index]
    changed = Row(row.prompt, tuple(10 - token for token in row.answer), 1, 0)
    again = _logits(network, packed(network, [*PROBE[:index], changed, *PROBE[index + 1 :]]))
    parts = again.split([len(row.answer) for row in PROBE])
    return all(torch.equal(parts[other], found[other]) for other in range(len(PROBE)) if other != index)


def _alone(network: nn.Module) -> list[Tensor]:
    return [_logits(network, padded(network, [row])) for row in PROBE]


def _same(one: Tensor, other: Tensor) -> bool:
    spread = other.float().std()
    return bool((one.float() - other.float()).square().mean().sqrt() <= CLOSE[other.dtype] * spread)


def _logits(network: nn.Module, inputs: Inputs) -> Tensor:
    reading = read(network, inputs.arguments, inputs.wanted)
    return torch.cat(list(reading.logits(64)))

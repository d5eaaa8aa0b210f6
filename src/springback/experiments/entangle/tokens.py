"""Which tokens of a pair carry its inner product, as records hold them: texts, marginals, what both answers share."""

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final

from springback.errors import RefusedError
from springback.experiments.entangle.loading import Loaded
from springback.models.rows import Row
from springback.train.entanglement.by_token import token_marginals, token_matrix
from springback.train.entanglement.tables import Metric

MOST: Final = 256
"""Tokens of the shorter answer up to which a matrix is made: a backward pass for each."""


def readings(loaded: Loaded, index: int, metric: Metric | None) -> dict[str, Any]:
    """Both answers by token: ⟨g_{w,t}, g_l⟩ of each chosen, ⟨g_w, g_{l,u}⟩ of each rejected token; sums are wl."""
    pair = loaded.pairs[index]
    found = token_marginals(loaded.network, pair, metric=metric)
    common = shared(pair.chosen.answer, pair.rejected.answer)
    sides = {}
    for side, row, values in (("chosen", pair.chosen, found.chosen), ("rejected", pair.rejected, found.rejected)):
        texts = _texts(loaded, row)
        sides[side] = [
            {"text": text, "marginal": float(value), "shared": place in common[side]}
            for place, (text, value) in enumerate(zip(texts, values, strict=True))
        ]
    return {**sides, "prompt": loaded.prompts[index]}


def matrix(loaded: Loaded, index: int, metric: Metric | None) -> dict[str, Any]:
    """⟨g_{w,t}, g_{l,u}⟩ for every chosen token t and rejected token u; the sum of all is wl. Or why there is none."""
    pair = loaded.pairs[index]
    try:
        values = token_matrix(loaded.network, pair, most=MOST, metric=metric).tolist()
    except RefusedError as error:
        return {"values": None, "why": error.message}
    return {"chosen": _texts(loaded, pair.chosen), "rejected": _texts(loaded, pair.rejected), "values": values}


def shared(chosen: Sequence[int], rejected: Sequence[int]) -> Mapping[str, set[int]]:
    """Places of the tokens that stand in both answers in the same order (matching blocks)."""
    blocks = SequenceMatcher(None, chosen, rejected, autojunk=False).get_matching_blocks()
    return {
        "chosen": {block.a + i for block in blocks for i in range(block.size)},
        "rejected": {block.b + i for block in blocks for i in range(block.size)},
    }


def _texts(loaded: Loaded, row: Row) -> list[str]:
    return [str(loaded.model.tokenizer.decode([token])) for token in row.answer]

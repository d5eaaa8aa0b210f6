"""What a network thinks of given answers: log-probabilities of their tokens, or whole next-token distributions.

Log-softmax in float32 whatever the compute dtype, results in float64 on the CPU. In float32 a row alone, in any batch,
padded or with its prompt's beginning shared agrees within 1e-5 nats a token. In bfloat16 the hidden states themselves
are rounded to 8 bits, and where a kernel sums in another order for another shape, the same row comes out differently:
`docs/methods/scoring.md` has the measured spread.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from springback.errors import RefusedError
from springback.models.prefix import Prefix, missing, positioned, shared
from springback.models.readout import Reading, context, quiet, read, text_config
from springback.models.rows import Row, batches, pad_right

BATCH_TOKENS = 1024
"""Default size of a padded batch; larger ones were no faster on two cores."""
LOGIT_BYTES = 128 * 2**20
"""Most float32 logits that exist at one time."""


def token_logprobs(
    network: nn.Module, rows: Sequence[Row], *, batch_tokens: int = BATCH_TOKENS, sharing: bool = True
) -> list[Float64[Tensor, " answer"]]:
    """Log p(answer[t] | prompt, answer[:t]) in nats, one float64 tensor on the CPU for each row, in the given order.

    At most `batch_tokens` padded tokens go through the network at once. `sharing=False` encodes every prompt in full.
    A row without prompt or answer, or longer than the model's context, is refused; nothing is ever truncated.
    """
    found: dict[int, Tensor] = {}
    with quiet(network):
        for batch in _passes(network, rows, batch_tokens, sharing=sharing):
            targets = torch.cat([torch.tensor(rows[index].answer) for index in batch.indices])
            found.update(
                zip(
                    batch.indices,
                    _chosen(batch.reading, targets, _rows_at_once(network)).split(batch.lengths),
                    strict=True,
                )
            )
    return [found[index] for index in range(len(rows))]


def answer_logits(
    network: nn.Module, rows: Sequence[Row], *, batch_tokens: int = BATCH_TOKENS, sharing: bool = True
) -> list[Float[Tensor, "answer vocab"]]:
    """The next-token logits before each answer token, in the compute dtype, on the CPU.

    48 answers of 20 tokens over a vocabulary of 49,152 take 90 MiB in bfloat16: ask for what fits.
    """
    found: dict[int, Tensor] = {}
    with quiet(network):
        for batch in _passes(network, rows, batch_tokens, sharing=sharing):
            parts = [part.cpu() for part in batch.reading.logits(_rows_at_once(network))]
            found.update(zip(batch.indices, torch.cat(parts).split(batch.lengths), strict=True))
    return [found[index] for index in range(len(rows))]


@dataclass(frozen=True, slots=True)
class _Batch:
    indices: list[int]
    lengths: list[int]
    reading: Reading


def _passes(network: nn.Module, rows: Sequence[Row], tokens: int, *, sharing: bool) -> Iterator[_Batch]:
    _refuse_unreadable(network, rows)
    prefix = _prefix(network, rows) if sharing and rows else Prefix()
    rest = [len(row) - 1 - prefix.length for row in rows]
    for indices in batches(rest, tokens=tokens):
        chosen = [rows[index] for index in indices]
        yield _Batch(indices, [len(row.answer) for row in chosen], _pass(network, chosen, prefix))


def _prefix(network: nn.Module, rows: Sequence[Row]) -> Prefix:
    longest = max(rows, key=len)
    return shared(network, [row.prompt for row in rows], example=longest.prompt + longest.answer[:-1])


def _pass(network: nn.Module, rows: Sequence[Row], prefix: Prefix) -> Reading:
    """The last answer token is never an input: nothing is predicted from it."""
    rest = [(row.prompt + row.answer[:-1])[prefix.length :] for row in rows]
    longest = max(map(len, rest))
    padded = pad_right(rest, width=longest + missing(network, prefix.length + longest))
    column = torch.arange(padded.ids.shape[1])
    first = torch.tensor([[len(row.prompt) - 1 - prefix.length] for row in rows])
    before = torch.ones(len(rows), prefix.length, dtype=torch.bool)
    inputs = {"input_ids": padded.ids, "attention_mask": torch.cat([before, padded.real], dim=1).long()}
    if positioned(network):
        inputs["position_ids"] = torch.where(padded.real, prefix.length + column, 0)
    inputs = {name: value.to(next(network.parameters()).device) for name, value in inputs.items()}
    cache = prefix.for_rows(len(rows))
    past = {"use_cache": False} if cache is None else {"past_key_values": cache}
    return read(network, inputs | past, padded.real & (column >= first))


def _chosen(reading: Reading, targets: Int[Tensor, " row"], rows: int) -> Float64[Tensor, " row"]:
    found = []
    for logits, ids in zip(reading.logits(rows), targets.split(rows), strict=True):
        picked = logits.float().log_softmax(dim=-1).gather(-1, ids[:, None].to(logits.device))
        found.append(picked.squeeze(-1).cpu().double())
    return torch.cat(found)


def _rows_at_once(network: nn.Module) -> int:
    return max(1, LOGIT_BYTES // (4 * text_config(network).vocab_size))


def _refuse_unreadable(network: nn.Module, rows: Sequence[Row]) -> None:
    most = context(network)
    for index, row in enumerate(rows):
        if not row.prompt or not row.answer:
            raise RefusedError(
                f"Row {index} has {len(row.prompt)} prompt and {len(row.answer)} answer tokens; both must have some.",
                kind="data", where=f"row {index}", next="Give it a prompt and an answer, or leave the row out.",
            )  # fmt: skip
        if most is not None and len(row) - 1 > most:
            raise RefusedError(
                f"Row {index} has {len(row)} tokens, the model reads {most}; nothing is truncated silently.",
                kind="data", where=f"row {index}", next="Shorten the row, or choose a model with a longer context.",
            )  # fmt: skip

"""Answers that a policy writes to be rewarded: several to each prompt, with what training must know of each token.

As `models/generate.py` samples (one uniform number a token from the answer's own generator, no setting of the model's
`generation_config`, no top-k, no top-p: what is drawn from is the whole softmax, which training can form again), and:

1. A prompt is read once however many answers it gets; its cache is copied for them.
2. Of each token, log π under the tempered distribution it was drawn from, and that distribution's entropy.

The seed of an answer depends on (seed, step, index) alone, so a step can be written again without those before it.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn
from transformers.cache_utils import Cache

from springback.models.cache import select
from springback.models.decoding import BATCH_TOKENS, Cached, Reader, Uncached, Writing
from springback.models.generate import _refuse_too_long as refuse_too_long  # pyright: ignore[reportPrivateUsage]
from springback.models.prefix import Prefix, empty, shared
from springback.models.readout import quiet


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer as a reward sees it."""

    prompt: str
    """The prompt's last turn."""
    text: str
    """The answer, without its stop token."""
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    """The stop token is the last one where the answer ended."""
    ended: bool
    """Whether it stopped by itself; False where it ran into the limit of new tokens."""
    about: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """What else stood in the prompt's row: a solution, a category."""
    turns: tuple[Mapping[str, str], ...] = ()
    """The whole conversation before the answer: `role` and `content` of each turn."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """One answer, as the network wrote it."""

    ids: tuple[int, ...]
    ended: bool
    logprobs: tuple[float, ...]
    """Log π of each token at the temperature it was drawn at, nats."""
    entropies: tuple[float, ...]
    """Of the distributions they were drawn from, nats."""


def seed_of(seed: int, step: int, index: int) -> int:
    """The seed of one answer of one step."""
    digest = sha256(f"{seed}/{step}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def roll(
    network: nn.Module,
    prompts: Sequence[tuple[int, ...]],
    seeds: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop: Set[int],
    temperature: float = 1.0,
) -> list[list[Rolled]]:
    """For each prompt one answer a seed, in the order given. `ValueError` where the logits are no distribution.

    Neither the other prompts nor the other answers change one, beyond the rounding of logits in another batch shape.
    """
    if not temperature > 0 or max_new_tokens < 1 or len(prompts) != len(seeds) or not all(prompts):
        raise ValueError(
            "temperature > 0, max_new_tokens ≥ 1 and seeds for every prompt, none of them empty, must hold"
        )
    refuse_too_long(network, prompts, max_new_tokens)
    groups = [[_Row(prompt, _generator(each)) for each in own] for prompt, own in zip(prompts, seeds, strict=True)]
    with quiet(network):
        for reader in _readers(network, groups, max_new_tokens):
            _write(reader, max_new_tokens, stop, temperature)
    return [[row.rolled() for row in group] for group in groups]


@dataclass(slots=True)
class _Row(Writing):
    """An answer that is being written, with what is noted of its tokens."""

    logprobs: list[float] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)

    def rolled(self) -> Rolled:
        return Rolled(tuple(self.ids), self.ended, tuple(self.logprobs), tuple(self.entropies))


class _Forked(Cached):
    """Prompts read once; behind the first logits, as many rows as answers."""

    def __init__(self, network: nn.Module, groups: Sequence[list[_Row]], prefix: Prefix, cache: Cache) -> None:
        super().__init__(network, [group[0] for group in groups], prefix, cache)
        self.rows: list[Writing] = [row for group in groups for row in group]
        self.origin = torch.tensor([index for index, group in enumerate(groups) for _ in group])

    def logits(self) -> Tensor:
        found = super().logits()
        if not self.rows:
            return found
        self.live, self.rows = self.rows, []
        self.seen, self.positions = self.seen[self.origin], self.positions[self.origin]
        self.cache = select(self.cache, self.origin)
        return found[self.origin.to(found.device)]


def _readers(network: nn.Module, groups: Sequence[list[_Row]], most: int) -> Iterator[Reader]:
    """Readers of at most `BATCH_TOKENS` padded tokens; a group that is larger alone is cut."""
    groups = [group for group in groups if group]
    if empty(network) is None:
        rows: list[Writing] = sorted((row for group in groups for row in group), key=lambda row: len(row.prompt))
        for length in sorted({len(row.prompt) for row in rows}):
            yield Uncached(network, [row for row in rows if len(row.prompt) == length])
        return
    prompts = [group[0].prompt for group in groups]
    longest = max(prompts, key=len, default=())
    prefix = shared(network, prompts, example=longest, middle_padding_up_to=len(longest) + most)
    for batch in _batches(groups, most):
        cache = empty(network)
        assert cache is not None  # it was there above
        yield _Forked(network, batch, prefix, cache)


def _batches(groups: Sequence[list[_Row]], most: int) -> Iterator[list[list[_Row]]]:
    batch: list[list[_Row]] = []
    for group in sorted(groups, key=lambda each: len(each[0].prompt)):
        width = len(group[0].prompt) + most
        at_once = max(1, BATCH_TOKENS // width)
        for start in range(0, len(group), at_once):
            part = group[start : start + at_once]
            if batch and width * (len(part) + sum(map(len, batch))) > BATCH_TOKENS:
                yield batch
                batch = []
            batch.append(part)
    if batch:
        yield batch


def _write(reader: Reader, most: int, stop: Set[int], temperature: float) -> None:
    for _ in range(most):
        logits = reader.logits()
        rows: list[Any] = reader.live
        drawn = _draw(logits, [row.generator for row in rows], temperature)
        for row, token, logprob, entropy in zip(rows, *map(Tensor.tolist, drawn), strict=True):
            row.ids.append(token)
            row.logprobs.append(logprob)
            row.entropies.append(entropy)
            row.ended = token in stop
        going = [position for position, row in enumerate(rows) if not row.ended]
        if not going:
            return
        if len(going) < len(rows):
            reader.keep(going)


class _Drawn(NamedTuple):
    tokens: Tensor
    logprobs: Float64[Tensor, " row"]
    entropies: Float64[Tensor, " row"]


def _draw(logits: Float[Tensor, "row vocab"], generators: Sequence[torch.Generator], temperature: float) -> _Drawn:
    """As `generate.draw`, with what it drew from."""
    logprobs = (logits.cpu().float() / temperature).log_softmax(dim=-1)
    shares = logprobs.exp()
    mass = shares.double().cumsum(dim=-1)
    if not bool(mass[:, -1].isfinite().all()):
        raise ValueError("The network's logits are not finite: nothing can be sampled from it.")
    uniforms = torch.stack([torch.rand((), generator=one, dtype=torch.float64) for one in generators])
    tokens = torch.searchsorted(mass, (uniforms * mass[:, -1])[:, None], right=True).clamp(max=logits.shape[-1] - 1)
    entropies = -torch.linalg.vecdot(shares, logprobs.clamp(min=torch.finfo(logprobs.dtype).min))  # 0·log 0 is 0
    return _Drawn(tokens.squeeze(-1), logprobs.gather(-1, tokens).squeeze(-1).double(), entropies.double())


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)

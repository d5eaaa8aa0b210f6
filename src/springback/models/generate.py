"""Sampling, by our own loop: the model's `generation_config` (temperature, penalties, top-k …) is never read.

One token costs one uniform number of the row's own generator, turned into a token by the inverse of the cumulative
distribution. So a sample depends on its generator and its logits alone: neither the other prompts nor their number,
order or length change it, beyond the rounding of the logits in another batch shape.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from hashlib import sha256

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from springback.errors import RefusedError
from springback.models.decoding import Reader, Writing, readers
from springback.models.readout import context, quiet


@dataclass(frozen=True, slots=True)
class Sampled:
    """One answer, as the network wrote it."""

    ids: tuple[int, ...]
    """Its tokens; the stop token is the last one where one was produced."""
    ended: bool
    """Whether it stopped by itself; False where it ran into `max_new_tokens`."""
    logits: Float[Tensor, "time vocab"] | None = None
    """The logits each token was drawn from (temperature 1, compute dtype, CPU), where they were kept."""


def streams(seed: int, count: int) -> list[torch.Generator]:
    """One generator for each prompt; the i-th depends on `seed` and i alone."""
    digests = [sha256(f"{seed}/{index}".encode()).digest() for index in range(count)]
    return [torch.Generator().manual_seed(int.from_bytes(digest[:4], "big")) for digest in digests]


def sample(
    network: nn.Module,
    prompts: Sequence[tuple[int, ...]],
    *,
    max_new_tokens: int,
    stop: Set[int],
    generators: Sequence[torch.Generator | int] = (),
    temperature: float = 1.0,
    keep_logits: bool = False,
) -> list[Sampled]:
    """One answer for each prompt, in the given order. Temperature 0 takes the likeliest token and no generator.

    An integer in `generators` is the seed of a fresh one. Prompts are padded on the left with positions from the mask,
    their common beginning is encoded once, finished rows leave the batch. A network whose cache cannot be thinned, or
    that cannot be told positions, is given prompts of equal length together and no cache: slower, and right.
    """
    rows = _rows(prompts, generators, temperature)
    _refuse_too_long(network, prompts, max_new_tokens)
    with quiet(network):
        for batch in readers(network, rows, max_new_tokens):
            _write(batch, max_new_tokens, stop, temperature, keep_logits=keep_logits)
    return [Sampled(tuple(row.ids), row.ended, torch.stack(row.logits) if row.logits else None) for row in rows]


def draw(logits: Float[Tensor, "row vocab"], uniforms: Float64[Tensor, " row"], temperature: float) -> list[int]:
    """The token at which the cumulative probability passes the row's uniform number.

    ValueError where the logits are no distribution (NaN, or an infinity above).
    """
    mass = (logits.cpu().float() / temperature).softmax(dim=-1).double().cumsum(dim=-1)
    if not bool(mass[:, -1].isfinite().all()):
        raise ValueError("The network's logits are not finite: nothing can be sampled from it.")
    tokens = torch.searchsorted(mass, (uniforms * mass[:, -1])[:, None], right=True).squeeze(-1)
    return tokens.clamp(max=logits.shape[-1] - 1).tolist()


def _write(reader: Reader, most: int, stop: Set[int], temperature: float, *, keep_logits: bool) -> None:
    for _ in range(most):
        logits = reader.logits()
        tokens = _next(logits, [row.generator for row in reader.live], temperature)
        for row, token, seen in zip(reader.live, tokens, logits.cpu() if keep_logits else tokens, strict=True):
            row.ids.append(token)
            row.ended = token in stop
            row.logits += [seen] if isinstance(seen, Tensor) else []
        going = [position for position, row in enumerate(reader.live) if not row.ended]
        if not going:
            return
        if len(going) < len(reader.live):
            reader.keep(going)


def _next(logits: Tensor, generators: list[torch.Generator | None], temperature: float) -> list[int]:
    if temperature == 0:
        return logits.argmax(dim=-1).tolist()
    uniforms = [torch.rand((), generator=generator, dtype=torch.float64) for generator in generators]
    return draw(logits, torch.stack(uniforms), temperature)


def _rows(
    prompts: Sequence[tuple[int, ...]], generators: Sequence[torch.Generator | int], heat: float
) -> list[Writing]:
    if not all(prompts):
        raise ValueError("A prompt needs at least one token: the first answer token is predicted from it.")
    if not heat:
        return [Writing(prompt, None) for prompt in prompts]
    if len(generators) != len(prompts):
        raise ValueError(f"Sampling needs one generator for each prompt: {len(prompts)} prompts, {len(generators)}.")
    fresh = [torch.Generator().manual_seed(given) if isinstance(given, int) else given for given in generators]
    return [Writing(prompt, generator) for prompt, generator in zip(prompts, fresh, strict=True)]


def _refuse_too_long(network: nn.Module, prompts: Sequence[tuple[int, ...]], most: int) -> None:
    room = context(network)
    for index, prompt in enumerate(prompts):
        if room is not None and len(prompt) + most > room:
            raise RefusedError(
                f"Prompt {index} has {len(prompt)} tokens; with {most} new ones it passes the context of {room}.",
                kind="data", where=f"prompt {index}", next="Shorten the prompt or ask for fewer tokens.",
            )  # fmt: skip

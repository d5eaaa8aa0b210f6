"""The one place that touches torch's global seed: for code of others that takes no generator."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Global draws inside are those of `seed`; outside it is as if nothing had been drawn, after exceptions too.

    For building networks and adapters, whose initialisers take no generator. CPU, CUDA and MPS are seeded and restored.
    """
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # noqa: TID251  here and nowhere else
        try:
            yield
        finally:
            if mps is not None:
                torch.mps.set_rng_state(mps)

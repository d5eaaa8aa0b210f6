"""What an engine of a rebound run is asked to do, and the directory of each sweep."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from springback.experiments.rebound.config import Sweep

Work = Mapping[str, int]
"""What a call did, as an audit counts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """All sweeps of a run."""

    sweeps: tuple[Sweep, ...]
    path: Path
    """The run's directory; it is being written."""
    quiet: bool = False
    identity: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Hashes of data, weights and template by sweep, as this machine has them."""
    memory: int = 0
    """Bytes that the dearest sweep needs."""


Engine = Callable[[Order], list[Work]]
"""Runs the sweeps, each in its place; the work that this call did, sweep by sweep."""


def place(path: Path, sweep: Sweep) -> Path:
    """The directory of a sweep."""
    return path / "sweeps" / sweep.name

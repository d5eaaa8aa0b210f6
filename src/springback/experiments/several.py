"""What every experiment refuses alike when several processes train one model (`--world`). Torch-free."""

import psutil

from springback.errors import RefusedError
from springback.experiments.audit.estimate import Estimate, gib
from springback.parallel.world import World


def refused_world(message: str, todo: str) -> RefusedError:
    """What several processes cannot do."""
    return RefusedError(f"--world {message}.", kind="option", where="--world", next=todo)


def require_memory(world: World, expected: Estimate, device: str) -> None:
    """Refuse where the processes of this machine do not fit into its memory; each holds the whole model."""
    here, free = world.local_size, psutil.virtual_memory().available
    if device in ("auto", "cpu") and here * expected.memory.total > free:
        needed = f"{here} · {gib(expected.memory.total)} GiB on this machine, {gib(free)} GiB are free"
        raise refused_world(f"{world.size} takes {needed}", "Start fewer processes; each holds the whole model.")


def require_all(late: float) -> None:
    """Refuse where other processes could not begin; `late`: how many."""
    if late:
        raise RefusedError(
            f"{int(late)} of the other processes could not begin; each has said why on standard error.", kind="run",
            where="--world", next="Give every process the same files, and run the same command again: it goes on.",
        )  # fmt: skip

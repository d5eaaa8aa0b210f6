"""How many processes compute one run together, as asked and as torchrun has started them. Torch-free."""

from collections.abc import Mapping
from dataclasses import dataclass

from springback.errors import RefusedError


@dataclass(frozen=True, slots=True)
class World:
    """The processes that torchrun has started, and which of them this is."""

    size: int
    rank: int
    local_rank: int = 0
    """Among those of this machine: which accelerator is its own."""
    local_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the run and prints; the others follow it."""
        return self.rank == 0


def rank(environment: Mapping[str, str]) -> int:
    """The rank that torchrun gave this process; 0 without torchrun."""
    return int(environment.get("RANK", "0"))


def world(asked: int | None, environment: Mapping[str, str]) -> World | None:
    """None where one process was asked for and is there.

    RefusedError where the number of processes is not the one asked for: each would write the same run by itself, or a
    run would be computed by other processes than its author meant.
    """
    there = environment.get("WORLD_SIZE") if "RANK" in environment else None
    if there is None and asked in (None, 1):
        return None
    if there is None:
        raise _refused(
            f"--world {asked} was asked for, but this process was started alone.",
            f"Start it with: torchrun --nproc-per-node {asked} -m springback … --world {asked}",
        )
    if asked is None:
        raise _refused(
            f"torchrun has started {there} processes, but none were asked for.",
            f"Add --world {there}, or run the command without torchrun.",
        )
    if int(there) != asked:
        raise _refused(
            f"--world {asked} was asked for, but torchrun has started {there} processes.",
            f"Give --world {there}, or start {asked} processes.",
        )
    numbers = {name: int(environment.get(name, "0")) for name in ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")}
    return World(asked, numbers["RANK"], numbers["LOCAL_RANK"], numbers["LOCAL_WORLD_SIZE"] or asked)


def _refused(message: str, todo: str) -> RefusedError:
    return RefusedError(message, kind="option", where="--world", next=todo)

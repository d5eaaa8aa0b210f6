"""`--world N`: one command, computed by the N processes that torchrun has started; the first one prints."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from os import environ
from typing import Any, Literal

from springback.cli.output import tell
from springback.errors import RefusedError
from springback.parallel.world import World, rank, world

SHARD = "Give each process of --world a part of the weights (FSDP2) instead of the whole model."
HELP = "Processes that torchrun has started to train one model together; refused where it started another number."


@contextmanager
def together(
    asked: int | None, device: str, *, sharded: bool = False, of: Literal["audit", "prefer"] = "audit"
) -> Iterator[Any]:
    """What the first process conducts the others with, or None without `--world`. The others stay here, and exit.

    `of`: the experiment whose `ranks` say how.
    """
    found = _checked(asked)
    if found is None and sharded:
        raise RefusedError(
            "--shard cuts a model into parts for several processes; there is one.", kind="option", where="--shard",
            next="Give --world too, or leave --shard out.",
        )  # fmt: skip
    if found is None:
        yield None
        return
    import torch

    from springback.parallel.group import all_present, joined

    ranks = _ranks(of)
    with joined(found, accelerator=device in ("auto", "cuda") and torch.cuda.is_available()) as group:
        if not found.leads:
            raise SystemExit(_followed(group, ranks))
        try:
            with all_present():
                yield ranks.Conductor(group, sharded)
        except RefusedError:
            group.say(None)
            raise
        group.say(None)


def _checked(asked: int | None) -> World | None:
    try:
        return world(asked, environ)
    except RefusedError:
        if rank(environ):
            raise SystemExit(2) from None  # the first process says it, once
        raise


def _ranks(of: str) -> Any:
    """The module that says what the first process orders, and what the others do then."""
    if of == "prefer":
        from springback.experiments.prefer import ranks
    else:
        from springback.experiments.audit import ranks
    return ranks


def _followed(group: Any, ranks: Any) -> int:
    """The exit code of a process that follows; what it cannot do it says on standard error."""
    from springback.parallel.group import all_present

    try:
        with all_present():
            ranks.follow(group)
    except RefusedError as error:
        tell([f"process {group.world.rank}: {error.message}", f"  next: {error.next}"])
        return 2
    except Exception as error:  # the first process prints the command's answer; this one has none
        if environ.get("SPRINGBACK_TRACE"):
            traceback.print_exc(file=sys.stderr)
        tell([f"process {group.world.rank}: {type(error).__name__}: {error}"])
        return 1
    return 0

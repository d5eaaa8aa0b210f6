"""The command line with one more command, which does what a test asks of it; run as a process of its own."""

import os
import sys
import warnings
from typing import Annotated, Literal

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.main import app, commands
from springback.cli.options import COMMON, Common
from springback.errors import InterruptedRunError, RefusedError

Way = Literal[
    "done", "not_reportable", "gate_failed", "refused", "bug", "interrupt", "stopped", "nan", "object", "noise", "long"
]


@commands.command
def plant(way: Way, *, sizes: tuple[int, ...] = (), rate: float = 0.5, common: Common = COMMON) -> Answer:
    """Do what a test asks."""
    result = {"sizes": list(sizes), "rate": rate, "quiet": common.quiet}
    match way:
        case "refused":
            raise RefusedError("no such row", kind="data", where="data.jsonl:17", next="Mend it.")
        case "bug":
            raise KeyError("spring")
        case "interrupt":
            raise KeyboardInterrupt
        case "stopped":
            raise InterruptedRunError
        case "nan" | "object":
            return Answer({"x": float("nan") if way == "nan" else object()})
        case "noise":
            sys.stdout.write("a library prints\n")
            os.system("echo a child prints")
            warnings.warn("a library warns", stacklevel=1)
            return Answer(result, lines=["\x1b[31mred\x1b[0m\ttab 한글 \ud800"], warnings=["thin data"], run="runs/x")
        case "long":
            return Answer(result, lines=["line"] * 100_000)
        case _:
            return Answer(result, lines=["a finding"], status=way)


@commands.command
def lots(*, words: Annotated[tuple[str, ...], Parameter(help="Words.")], common: Common = COMMON) -> Answer:
    """Repeat the words."""
    return Answer({"words": list(words), "quiet": common.quiet})


commands.command("springback.no_such_module:app", name="broken", help="Cannot be imported.")

if __name__ == "__main__":
    sys.exit(app())

"""Options that mean the same in every command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from cyclopts import Parameter

Fields = TypeVar("Fields")

Flat = Annotated[Fields, Parameter(name="*")]
"""`Flat[X]`: every field of the dataclass X is an option of the command, its docstring the help text."""

Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["float32", "bfloat16", "float16", "float64"]


@Parameter(name="*", group="Every command")
@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What every command takes."""

    json: bool = False
    """Print exactly one JSON object on standard output; everything else goes to standard error."""
    quiet: bool = False
    """No progress and no warnings on standard error; the answer is printed all the same."""
    config: Path | None = None
    """YAML file of options (`seed: 3`); the command line wins over it."""


COMMON: Final = Common()
"""The default of a command's last parameter: `common: Common = COMMON`."""

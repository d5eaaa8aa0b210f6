"""A function of the user's by name: `FILE.py` or `module:function`.

The file or module is *executed*, with all that this user may do, because it was asked for by name. Nothing else makes
Springback run code that it did not bring: no data file, no checkpoint, no earlier run.
"""

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from springback.errors import RefusedError
from springback.store.provenance import sha256_of_file


def function(named: str, *, attribute: str, option: str, kind: str, other: str) -> Callable[..., Any]:
    """The function `attribute` of a file, or the one that a module names; running its module is what this does.

    `other` are the names that the option takes beside; a RefusedError of this `kind` says them.
    """
    asked = _Asked(named, attribute, option, kind, other)
    if named.endswith(".py") or Path(named).exists():
        return asked.found(_module_of_file(Path(named), asked), attribute)
    module, colon, name = named.partition(":")
    if not (colon and name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        asked.refuse(f"{named} is not one of {other}, there is no such file, and it is not module:function.")
    return asked.found(_imported(module, asked), name)


def hashes(*named: str | None) -> dict[str, str]:
    """SHA-256 of every Python file that these options name, alone or among others: another content asks another thing.

    `reward.py`, `scorer:own.py`, `grpo:group=4,reward=reward.py`, `program:python reward.py`.
    """
    words = {word for text in named if text for word in re.split(r"[:,=\s]", text)} | {text for text in named if text}
    return {word: sha256_of_file(Path(word)) for word in sorted(words) if word.endswith(".py") and Path(word).is_file()}


@dataclass(frozen=True, slots=True)
class _Asked:
    named: str
    attribute: str
    option: str
    kind: str
    other: str

    def found(self, module: ModuleType, name: str) -> Callable[..., Any]:
        found = getattr(module, name, None)
        if not callable(found):
            self.refuse(f"{self.named} defines no function {name}.")
        return found

    def refuse(self, message: str, error: Exception | None = None) -> NoReturn:
        usage = f"Give {self.other}, a Python file that defines {self.attribute}, or module:function."
        raise RefusedError(message, kind=self.kind, where=f"{self.option} {self.named}", next=usage) from error


def _module_of_file(path: Path, asked: _Asked) -> ModuleType:
    if not path.is_file():
        asked.refuse(f"There is no file {path}.")
    spec = importlib.util.spec_from_file_location(f"springback_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        asked.refuse(f"{path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickling inside the file look it up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(spec.name, None)
        asked.refuse(f"{path} cannot be run: {type(error).__name__}: {error}.", error)
    return module


def _imported(module: str, asked: _Asked) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:
        asked.refuse(f"The module {module} cannot be imported: {type(error).__name__}: {error}.", error)

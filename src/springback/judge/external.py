"""A scorer of the user's: `--score FILE.py` or `--score module:function`, a function of texts.

    def score(texts: list[str]) -> list[float]:   # one a text, in [0, 1], 1 = wanted

The file or module is *executed*, with all that this user may do, because it was asked for by name. Nothing else makes
Springback run code that it did not bring: no data file, no checkpoint, no earlier run.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from springback.data.records import Labelled
from springback.errors import RefusedError
from springback.judge.scorer import AUC, Read, Scorer, judged

USAGE = "Give --score lexicon, a Python file that defines score(texts), or module:function."


def scorer(named: str, held_out: Sequence[Labelled], *, threshold: float = AUC) -> Scorer:
    """The user's function as a scorer, measured on the rows given. RefusedError (kind `scorer`) where it cannot be."""
    return judged(named, guarded(function(named), named), held_out, threshold=threshold)


def function(named: str) -> Callable[[list[str]], Any]:
    """The function behind `FILE.py` or `module:function`; running its module is what this does."""
    if named.endswith(".py") or Path(named).exists():
        return _attribute(_module_of_file(Path(named), named), "score", named)
    module, colon, name = named.partition(":")
    if not (colon and name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        _refuse(f"{named} is no scorer: there is no such file, and it is not module:function.", named)
    return _attribute(_imported(module, named), name, named)


def guarded(score: Callable[[list[str]], Any], named: str) -> Read:
    """The function, whose exceptions become a refusal that names it."""

    def read(texts: Sequence[str]) -> list[Any]:
        try:
            return list(score(list(texts)))
        except RefusedError:
            raise
        except Exception as error:
            _refuse(f"The scorer {named} failed: {type(error).__name__}: {error}.", named, error)

    return read


def _module_of_file(path: Path, named: str) -> ModuleType:
    if not path.is_file():
        _refuse(f"There is no file {path}.", named)
    spec = importlib.util.spec_from_file_location(f"springback_scorer_{path.stem}", path)
    if spec is None or spec.loader is None:
        _refuse(f"{path} is no Python file.", named)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickling inside the file look it up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(spec.name, None)
        _refuse(f"{path} cannot be run: {type(error).__name__}: {error}.", named, error)
    return module


def _imported(module: str, named: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:
        _refuse(f"The module {module} cannot be imported: {type(error).__name__}: {error}.", named, error)


def _attribute(module: ModuleType, name: str, named: str) -> Callable[[list[str]], Any]:
    found = getattr(module, name, None)
    if not callable(found):
        _refuse(f"{named} defines no function {name}.", named)
    return found


def _refuse(message: str, named: str, error: Exception | None = None) -> NoReturn:
    raise RefusedError(message, kind="scorer", where=f"--score {named}", next=USAGE) from error

"""A scorer of the user's: `--score FILE.py` or `--score module:function`, a function of texts.

`score(texts: list[str]) -> list[float]`, one number a text, in [0, 1], 1 = wanted.
"""

from collections.abc import Callable, Sequence
from typing import Any

from springback.data.records import Labelled
from springback.errors import RefusedError
from springback.judge.scorer import AUC, Read, Scorer, judged
from springback.store import user_code


def scorer(named: str, held_out: Sequence[Labelled], *, threshold: float = AUC) -> Scorer:
    """The user's function as a scorer, measured on the rows given. RefusedError (kind `scorer`) where it cannot be."""
    return judged(named, guarded(function(named), named), held_out, threshold=threshold)


def function(named: str) -> Callable[[list[str]], Any]:
    """The function behind `FILE.py` or `module:function`; running its module is what this does."""
    return user_code.function(named, attribute="score", option="--score", kind="scorer", other="lexicon")


def guarded(score: Callable[[list[str]], Any], named: str) -> Read:
    """The function, whose exceptions become a refusal that names it."""

    def read(texts: Sequence[str]) -> list[Any]:
        try:
            return list(score(list(texts)))
        except RefusedError:
            raise
        except Exception as error:
            raise RefusedError(
                f"The scorer {named} failed: {type(error).__name__}: {error}.", kind="scorer",
                where=f"--score {named}", next="Mend it, or take --score lexicon.",
            ) from error  # fmt: skip

    return read

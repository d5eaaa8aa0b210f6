"""The numbers of one pair as `--at` takes them: `chosen=-12.3 rejected=-15.1 ref_chosen=-13 …`, in any order.

A key that is no number of a pair is an option of a loss; a word without `=` is the name of a loss. Imports no torch.
"""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from springback.errors import RefusedError

LOGPROB: Final = "a log-probability in nats, at most 0"
COUNT: Final = "a whole number of tokens, at least 1"
NUMBERS: Final[Mapping[str, str]] = {
    "chosen": "log π(y_w|x), nats",
    "rejected": "log π(y_l|x), nats",
    "ref_chosen": "log π_ref(y_w|x), nats",
    "ref_rejected": "log π_ref(y_l|x), nats",
    "chosen_tokens": "tokens of y_w, its stop included",
    "rejected_tokens": "tokens of y_l, its stop included",
    "prompt": "log π(x), nats (orpo_with_prompt)",
    "prompt_tokens": "predicted tokens of x (orpo_with_prompt)",
    "chosen_collision": "log Σ_v π(v)² at each token of y_w, nats; 0 unless given (wpo)",
    "rejected_collision": "the same of y_l",
    "chosen_divergence": "Σ_t KL(π_ref ‖ π) along y_w, nats; 0 unless given (tdpo)",
    "rejected_divergence": "the same of y_l",
    "z": "the batch's reference point, nats; 0 unless given (kto), or the pair's own z (alpha_dpo)",
    "samples": "log π of answers of the policy's own, several with commas; the chosen answer unless given (d2o)",
    "ref_samples": "log π_ref of the same answers, as many",
}
"""What a pair is described by. The first six are what any pair has."""
ALWAYS: Final = tuple(NUMBERS)[:6]
SEVERAL: Final = ("samples", "ref_samples")
_BELOW_0: Final = {"chosen", "rejected", "ref_chosen", "ref_rejected", "prompt", *SEVERAL}
_WORDS: Final[Mapping[str, tuple[str, Callable[[float], bool]]]] = {
    **dict.fromkeys(sorted(_BELOW_0), (LOGPROB, lambda value: value <= 0)),
    **dict.fromkeys(
        ("chosen_tokens", "rejected_tokens", "prompt_tokens"), (COUNT, lambda value: value >= 1 and value % 1 == 0)
    ),
    **dict.fromkeys(("chosen_collision", "rejected_collision"), ("nats, at most 0", lambda value: value <= 0)),
    **dict.fromkeys(("chosen_divergence", "rejected_divergence"), ("nats, at least 0", lambda value: value >= 0)),
    "z": ("a number of nats", lambda _: True),
}


@dataclass(frozen=True, slots=True)
class Point:
    """What stood behind `--at`."""

    numbers: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """One value each; several of `samples`."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What is no number of a pair, as text."""
    names: tuple[str, ...] = ()
    """Words without `=`."""

    def one(self, name: str, otherwise: float | None = None) -> float:
        """The number of this name; what it is otherwise, KeyError where there is no otherwise."""
        if name not in self.numbers and otherwise is not None:
            return otherwise
        return self.numbers[name][0]


def rejoined(names: Iterable[str]) -> list[str]:
    """`simpo:beta=2` and `gamma=1` as the one name that the command line has split at its comma."""
    found: list[str] = []
    for word in names:
        option = "=" in word and ":" not in word and word.partition("=")[0] not in NUMBERS
        if option and found and ":" in found[-1]:
            found[-1] += f",{word}"
        else:
            found.append(word)
    return found


def read(words: Iterable[str]) -> Point:
    """RefusedError for a value that is none, a number twice, and what no pair can have."""
    texts, names = _sorted(part.strip() for word in words for part in _parts(word))
    numbers = {key: tuple(_number(key, text) for text in found) for key, found in texts.items() if key in NUMBERS}
    options = {key: found[0] for key, found in texts.items() if key not in NUMBERS}
    _as_many(numbers)
    return Point(numbers, options, tuple(names))


def nearest(word: str, known: Iterable[str]) -> str:
    """`Did you mean …? ` or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {close[0]}? " if close else ""


def refused(message: str, next: str = "See `springback losses --help`.") -> RefusedError:
    """What is wrong with `--at`."""
    return RefusedError(message, kind="option", where="--at", next=next)


def _parts(word: str) -> list[str]:
    """What stands between commas or blanks, unless they belong to a name's options."""
    return [word] if ":" in word.partition("=")[0] else word.replace(",", " ").split()


def _sorted(words: Iterable[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Texts by key, and what has none: a number goes on with the key before it, a word is a name."""
    found: dict[str, list[str]] = {}
    names: list[str] = []
    last = ""
    for word in filter(None, words):
        key, equals, text = (part.strip() for part in word.partition("="))
        if equals and ":" not in key:
            last = _key(key, text, found)
            found[last] = [text]
        elif last in SEVERAL and _is_number(word):
            found[last].append(word)
        else:
            names.append(word)
    return found, names


def _key(key: str, text: str, found: Mapping[str, list[str]]) -> str:
    written = key.lower().replace("-", "_").replace("reference_", "ref_")
    if not (written and text):
        raise refused(f"--at takes name=value, got {key}={text}")
    if written in found:
        raise refused(f"{written} is given twice")
    return written


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(key: str, text: str) -> float:
    words, holds = _WORDS[key]
    if not _is_number(text) or not math.isfinite(float(text)) or not holds(float(text)):
        raise refused(f"{key} must be {words}, got {text}", f"{key}: {NUMBERS[key]}.")
    return float(text)


def _as_many(numbers: Mapping[str, tuple[float, ...]]) -> None:
    own, reference = (numbers.get(key, ()) for key in SEVERAL)
    if len(own) != len(reference):
        raise refused(f"samples and ref_samples must be as many, got {len(own)} and {len(reference)}")

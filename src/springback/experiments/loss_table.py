"""Which losses are asked about, with which options, and the table of them for people. Imports no torch by itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, cast

from springback.errors import RefusedError
from springback.experiments.loss_point import NUMBERS, nearest

if TYPE_CHECKING:
    from springback.train.preference.method import Method

LETTERS: Final[Mapping[str, str]] = {
    "reference": "R",
    "moving_reference": "M",
    "lengths": "L",
    "tokens": "T",
    "lists": "K",
    "labels": "U",
    "samples": "O",
    "prompt": "P",
    "collision": "V",
    "divergence": "V",
    "statistics": "S",
    "mismatched": "Z",
}
LEGEND: Final = (
    "reads: R reference, M a reference that moves, L lengths, T token by token, K lists, U single labelled answers,",
    "       O answers of the policy's own, P the prompt, V whole vocabulary, S running statistics, Z mismatched ones",
    "w, l: chosen and rejected; a, b their log-ratios to the reference, Δ = a − b; μ log-probability per token",
)
WIDTH: Final = 118


def asked(names: Sequence[str], given: Mapping[str, str]) -> list[tuple[str, "Method"]]:
    """The methods of these names (all of them for none), with options from flags and `--at`, by their main names.

    RefusedError for an unknown name, and for an option that a named method lacks or that no method has.
    """
    from springback.train.preference.choose import made
    from springback.train.preference.family import LOSSES

    if names:
        return [_named(name, given) for name in names]
    taken = {name: _taken(name, given) for name in LOSSES}
    for key in given:
        if not any(key in options for options in taken.values()):
            every = sorted({field.name for member in LOSSES.values() for field in fields(cast("Any", member))})
            raise _no_option(f"no loss has an option {key}", nearest(key, [*every, *NUMBERS]))
    return [(name, made(name, options)) for name, options in taken.items()]


def _taken(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """Of the options given those that this member has."""
    from springback.train.preference import spelling
    from springback.train.preference.family import LOSSES

    known = [field.name for field in fields(cast("Any", LOSSES[name]))]
    return {key: text for key, text in given.items() if spelling.option(key, name, known) in known}


def _named(text: str, given: Mapping[str, str]) -> tuple[str, "Method"]:
    from springback.store.options import parsed
    from springback.train.preference import spelling
    from springback.train.preference.choose import loss_named, made
    from springback.train.preference.family import LOSSES

    name, _, rest = text.partition(":")
    ours = spelling.member(name, LOSSES)
    method = loss_named(text, option="NAME")
    if ours is None:
        if given:
            raise _no_option(f"{text} is your own and takes no option {', '.join(given)}", "")
        return text, method
    if not given:
        return ours, method
    both = parsed(rest)
    if twice := sorted(set(both) & set(given)):
        raise _no_option(f"{', '.join(twice)} is given twice, behind {name} and as an option", "")
    return ours, made(ours, {**both, **given}, option="option")


def _no_option(message: str, todo: str) -> RefusedError:
    listed = "`springback losses NAME` lists the options of a loss."
    return RefusedError(message, kind="option", where="option", next=f"{todo}{listed}")


def overview(losses: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line a loss."""
    yield f"{'name':<19} {'reads':<6} formula"
    for loss in losses:
        yield f"{loss['name']:<19} {_letters(loss['needs']):<6} {loss['formula']}"
    yield from LEGEND


def details(loss: Mapping[str, Any]) -> Iterator[str]:
    """Everything that a loss states."""
    paper = loss["paper"]
    yield f"{loss['name']}: {loss['formula']}"
    if paper:
        yield f"  paper: {paper['title']}, {paper['url']}"
    yield f"  needs: {', '.join(loss['needs'])}"
    yield f"  breaks: {', '.join(loss['breaks']) or 'none of the laws'}"
    for name, option in loss["options"].items():
        yield f"  --{name.replace('_', '-')} {option['value']} (default {option['default']}): {option['doc']}"


def values(losses: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Value and pushes, one line a loss; what was assumed below it."""
    yield f"{'name':<19} {'value':>17} {'d_w':>17} {'d_l':>17}  chosen  rejected   (pushed by the loss)"
    for loss in losses:
        if loss["value"] is None:
            yield f"{loss['name']:<19} {loss['why']}"[:WIDTH]
            continue
        numbers = " ".join(f"{_shown(loss[key]):>17}" for key in ("value", "d_w", "d_l"))
        yield f"{loss['name']:<19} {numbers}  {loss['pushes']['chosen']:<7} {loss['pushes']['rejected']}"
    yield "d_w = −∂ℓ/∂log π_w, d_l = ∂ℓ/∂log π_l, per nat of summed log-probability"
    yield from (f"{words}: {', '.join(names)}" for words, names in _by_words(losses).items())


def _by_words(losses: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for loss in losses:
        for words in loss.get("assumed", ()):
            found.setdefault(words, []).append(loss["name"])
    return found


def _shown(number: float) -> str:
    small = number == 0 or 1e-4 <= abs(number) < 1e7
    return f"{number:.8f}" if small else f"{number:.8e}"


def _letters(needs: Sequence[str]) -> str:
    return "".join(dict.fromkeys(LETTERS[need] for need in LETTERS if need in needs))

"""Windows that slide over tokens: every token is scored exactly once, nothing is truncated.

The scored spans follow each other without gap or overlap. Each scored token has all its past, or at least
window − stride tokens of it; a window holds at most `window` tokens as input, its last scored token is not one of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from springback.models.rows import Row


class Span(NamedTuple):
    """Places in a sequence of tokens: the context from, the first that is scored, behind the last that is."""

    context: int
    first: int
    upto: int


def spans(tokens: int, *, window: int, stride: int, given: int = 1) -> Iterator[Span]:
    """Over `tokens` tokens, of which the first `given` ≥ 1 are known and not scored."""
    done = given
    while done < tokens:
        upto = min(tokens, _reach(done, window, stride))
        yield Span(max(0, upto - 1 - window), done, upto)
        done = upto


def windows(chunks: Iterable[Sequence[int]], given: Sequence[int], *, window: int, stride: int) -> Iterator[Row]:
    """The same over tokens that arrive in chunks after the `given` ones; at most a chunk and a window are held."""
    held, before, done = [*given], 0, len(given)
    for chunk in chunks:
        held += chunk
        while before + len(held) >= (upto := _reach(done, window, stride)):
            yield _row(held, before, Span(max(0, upto - 1 - window), done, upto))
            done = upto
        drop = max(0, done - window - before)
        held, before = held[drop:], before + drop
    end = before + len(held)
    if end > done:
        yield _row(held, before, Span(max(0, end - 1 - window), done, end))


def _reach(done: int, window: int, stride: int) -> int:
    """Behind the last token that the next window scores: the first one is filled, the others move on."""
    return window + 1 if done <= window else done + stride


def _row(held: Sequence[int], before: int, span: Span) -> Row:
    context, first, upto = (place - before for place in span)
    return Row(tuple(held[context:first]), tuple(held[first:upto]), 0, 0)

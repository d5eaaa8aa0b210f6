"""Several answers to one prompt, ranked or scored, and the pairs that are made of them by a named rule.

`completions` is a list of strings, the best first, or with `scores` beside it; or, as in UltraFeedback (Cui et al.,
2023), a list of objects with a text and a score. Without scores the order is the ranking.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any, Final, Literal

from springback.data.choices import EMPTY, TIE, Choice, Ranking, Unusable
from springback.data.records import Prompt
from springback.data.shapes import At, string

Rule = Literal["best_worst", "best_others", "neighbours", "all"]
TEXTS: Final = ("text", "response", "completion", "content", "answer")
"""Names under which an object's text is looked for, in this order."""
SCORES: Final = ("score", "overall_score", "rating", "fine-grained_score")
"""Names under which an object's score is looked for, in this order; `--score-field` names another."""
FEW = "fewer than two answers are left"


def ranking(prompt: Prompt, row: Mapping[str, Any], at: At, *, field: str | None = None) -> Ranking | Unusable:
    """The answers of a row, the best first; empty ones are left out. Equal scores keep the data's order."""
    where, answers = f"{at.file}:{at.line}", row["completions"]
    if not isinstance(answers, list):
        at.no('"completions" must be a list of answers.')
    texts = [_text(each, index, at) for index, each in enumerate(answers)]
    scores = _scores(row, answers, field, at)
    said = [index for index, text in enumerate(texts) if text.strip()]
    if len(said) < 2:
        return Unusable(FEW if len(said) == len(texts) else f"{EMPTY}, and {FEW}", where)
    if scores is None:
        return Ranking(prompt, tuple(texts[i] for i in said), tuple(float(n) for n in range(len(said))[::-1]), where)
    best = sorted(said, key=lambda index: -scores[index])
    return Ranking(prompt, tuple(texts[i] for i in best), tuple(scores[i] for i in best), where, scored=True)


def pairs(ranking: Ranking, rule: Rule) -> list[Choice | Unusable]:
    """Pairs of a ranking: answers of equal score make none."""
    made = list(RULES[rule](range(len(ranking.answers))))
    return [_pair(ranking, better, worse) for better, worse in made]


def _pair(ranking: Ranking, better: int, worse: int) -> Choice | Unusable:
    scores = ranking.relevance[better], ranking.relevance[worse]
    if scores[0] == scores[1]:
        return Unusable(TIE, ranking.where)
    own = scores if ranking.scored else None
    return Choice(ranking.prompt, ranking.answers[better], ranking.answers[worse], ranking.where, own)


RULES: Final[dict[Rule, Callable[[Sequence[int]], Iterator[tuple[int, int]]]]] = {
    "best_worst": lambda places: iter([(places[0], places[-1])]),
    "best_others": lambda places: ((places[0], other) for other in places[1:]),
    "neighbours": pairwise,
    "all": lambda places: combinations(places, 2),
}
"""Which (better, worse) places of a ranking become pairs."""


def _text(value: Any, index: int, at: At) -> str:
    name = f"completions[{index}]"
    if isinstance(value, str):
        return string(value, name, at)
    found = next((key for key in TEXTS if isinstance(value, dict) and key in value), None)
    if found is None:
        at.no(f'"{name}" must be a string or an object with one of {", ".join(TEXTS)}.')
    return string(value[found], f"{name}.{found}", at)


def _scores(row: Mapping[str, Any], answers: Sequence[Any], field: str | None, at: At) -> list[float] | None:
    beside = row.get("scores")
    if beside is None and not any(isinstance(each, dict) for each in answers):
        return None
    values = beside if beside is not None else [_score(each, index, field, at) for index, each in enumerate(answers)]
    if not isinstance(values, list) or len(values) != len(answers):
        at.no(f'"scores" must be a list of {len(answers)} numbers, one for each of the completions.')
    return [number(value, f"scores[{index}]", at) for index, value in enumerate(values)]


def _score(answer: Any, index: int, field: str | None, at: At) -> Any:
    names = (field,) if field else SCORES
    found = next((key for key in names if isinstance(answer, dict) and key in answer), None)
    if found is None:
        at.no(f'"completions[{index}]" has no score: none of {", ".join(names)}.', "Name it: --score-field NAME.")
    return answer[found]


def number(value: Any, name: str, at: At) -> float:
    """A finite number; nothing is converted from text."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        at.no(f'"{name}" must be a finite number; this is {value!r}.', "Correct it, or remove this row.")
    return float(value)

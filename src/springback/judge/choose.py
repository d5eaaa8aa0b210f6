"""`--score`: nothing for the linear classifier, `lexicon`, a Python file, or `module:function`."""

from collections.abc import Sequence

from springback.data.records import Labelled
from springback.judge import external, lexicon, linear
from springback.judge.scorer import AUC, Scorer


def choose(
    named: str | None,
    *,
    fit: Sequence[Labelled],
    held_out: Sequence[Labelled],
    threshold: float = AUC,
    why: str | None = None,
) -> Scorer:
    """The scorer that `--score` names, measured. What is not fitted here is measured on all rows."""
    if named is None:
        return linear.fit(fit, held_out, threshold=threshold, why=why)
    every = [*fit, *held_out]
    if named == "lexicon":
        return lexicon.scorer(every, threshold=threshold)
    return external.scorer(named, every, threshold=threshold)

"""The default scorer: TF-IDF of words and word pairs, logistic regression on top. Small, quick, repeatable.

log P(wanted)/P(opposite) = b + Σ weight(term)·tfidf(term), terms are 1–2-grams. C = 3, sublinear term frequency,
balanced classes; terms of one row only are left out where there are a thousand rows or more. None of it was chosen
on the rows that the accuracy and the AUC come from.

What it does not guarantee: it reads words. Irony, negation beyond a word pair and quality of language are not seen,
and it is unsure (near ½) where no word is known.
"""

from collections.abc import Sequence
from typing import Any, Final

from springback.data.records import Labelled
from springback.judge.scorer import AUC, SHUFFLES, Read, Scorer, absent, judged, shuffled

NAME: Final = "linear classifier on words and word pairs"
STRENGTH: Final = 3.0
"""Inverse of the L2 penalty."""
MANY_ROWS: Final = 1000


def fit(
    rows: Sequence[Labelled], held_out: Sequence[Labelled], *, threshold: float = AUC, why: str | None = None
) -> Scorer:
    """The scorer learnt from `rows` and measured on `held_out`; `why` is what is known about the rows.

    Where there are no rows, rows of one kind, or no words in them, the scorer is not reportable and says why.
    """
    if len({row.wanted for row in rows}) < 2:
        return absent(NAME, why or "there are no rows of both kinds to learn from")
    wanted = [row.wanted for row in rows]
    terms, seen = _terms([row.text for row in rows])
    if terms is None:
        return absent(NAME, "the rows to learn from have no words")
    placebos = [_learnt(terms, seen, shuffled(wanted, draw)) for draw in range(SHUFFLES)]
    return judged(
        NAME, _learnt(terms, seen, wanted), held_out, placebos=placebos,
        fitted_on=len(rows), threshold=threshold, why=why,
    )  # fmt: skip


def _terms(texts: Sequence[str]) -> tuple[Any, Any]:
    """The fitted vocabulary and the rows in it; (None, None) where no row has a word."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    fewest = 2 if len(texts) >= MANY_ROWS else 1
    terms = TfidfVectorizer(ngram_range=(1, 2), min_df=fewest, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    try:
        return terms, terms.fit_transform(texts)
    except ValueError:  # sklearn's only answer to an empty vocabulary
        return None, None


def _learnt(terms: Any, seen: Any, wanted: Sequence[bool]) -> Read:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000).fit(seen, list(wanted))
    column = list(model.classes_).index(True)
    return lambda texts: model.predict_proba(terms.transform(texts))[:, column].tolist() if texts else []

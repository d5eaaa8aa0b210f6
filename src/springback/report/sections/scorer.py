"""How far the scorer can be believed: it stands beside every score."""

from dataclasses import dataclass

from markupsafe import Markup

from springback.report.evidence import Evidence
from springback.report.markup import num
from springback.report.value import value


@dataclass(frozen=True, slots=True)
class View:
    name: str
    accuracy: Markup
    auc: Markup
    shuffled: Markup | None
    """AUC with shuffled labels, the scorer's placebo; None where it was not run."""
    why: str


def view(evidence: Evidence) -> View | None:
    body = evidence.one("scorer")
    if not body:
        return None
    auc, accuracy, placebo = (
        value(body.get(k), "scorer:scorer", unit="probability") for k in ("auc", "accuracy", "placebo_auc")
    )
    shuffled = num(placebo, "score") if placebo.known else None
    return View(
        str(body.get("name") or ""), num(accuracy, "score"), num(auc, "score"), shuffled, str(body.get("why") or "")
    )

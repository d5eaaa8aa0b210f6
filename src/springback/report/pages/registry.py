"""Which command's runs have which page; a command that is not here has the audit's."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from springback.report.evidence import Records
from springback.report.pages import cycle, entangle, prefer, rebound, resist, reward, rlhf, study, theory, toy
from springback.report.pages.sheet import Sheet

PAGES: Final[Mapping[str, Callable[[Records, Mapping[str, Any]], Sheet]]] = {
    "cycle": cycle.sheet,
    "entangle": entangle.sheet,
    "prefer": prefer.sheet,
    "rebound": rebound.sheet,
    "resist": resist.sheet,
    "reward": reward.sheet,
    "rlhf": rlhf.sheet,
    "study": study.sheet,
    "theory": theory.sheet,
    "toy": toy.sheet,
}

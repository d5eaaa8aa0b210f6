"""`springback cite RUN`."""

from pathlib import Path

from springback.cli.answer import Answer
from springback.cli.options import COMMON, Common
from springback.store import cite
from springback.store.run import Run


def app(run: Path, *, common: Common = COMMON) -> Answer:
    """Print the BibTeX of what a run used, and of nothing else.

    Args:
        run: Directory of the run.
    """
    with Run.look(run) as looked:
        bibtex, keys = cite.bibtex(looked), cite.keys(looked)
    nothing = [] if keys else [f"{run} lists no works"]
    return Answer({"bibtex": bibtex, "keys": keys}, lines=bibtex.splitlines(), warnings=nothing, run=run)

"""`springback report RUN…`: the page of one run, or several runs compared."""

from pathlib import Path

from springback.cli.answer import Answer
from springback.cli.options import COMMON, Common
from springback.errors import RefusedError


def app(*runs: Path, out: Path | None = None, common: Common = COMMON) -> Answer:
    """Write the page of one run from its stored records, or compare several runs of one start.

    Args:
        runs: Directory of a run; with several, they must share start and data.
        out: File of the comparison; by default beside the first run. One run's page is RUN/report.html.
    """
    if not runs:
        raise RefusedError("no run was named", kind="option", where="RUN", next="springback report RUN [RUN …]")
    if len(runs) == 1 and out is not None:
        todo = "Leave --out away; it names the page of a comparison."
        raise RefusedError("one run's page stands in the run: RUN/report.html", kind="option", where="--out", next=todo)
    path, size = _written(runs, out)
    return Answer({"report": str(path), "bytes": size}, lines=[str(path)], run=runs[0] if len(runs) == 1 else None)


def _written(runs: tuple[Path, ...], out: Path | None) -> tuple[Path, int]:
    if len(runs) == 1:
        from springback.report.page import write_report

        return write_report(runs[0])
    from springback.report.compare import write_comparison

    return write_comparison(runs, out)

"""`springback gate RUN`: for continuous integration.

Exit 0: measured, and good enough. 4: measured, and worse than asked. 3: measured, but inconclusive on what was asked,
or the run's own checks forbid to quote it. 2: nothing was measured (no run, not complete, no verdict) or the question
is none. Only 0 passes; a pipeline that tolerates "cannot tell" tests for 3 itself.
"""

from pathlib import Path

from springback.cli.answer import Answer, Status
from springback.cli.options import COMMON, Common
from springback.errors import RefusedError
from springback.experiments.audit.outcome import reportable
from springback.report.gate import LABELS, Finding, Limit, findings, undone_sizes, worst
from springback.report.summary import markdown
from springback.store.run import Run

STATUS: dict[str, Status] = {"passed": "done", "open": "not_reportable", "failed": "gate_failed"}


def app(
    run: Path,
    *,
    fail_on: str | None = None,
    max_undone: str | None = None,
    summary: Path | None = None,
    common: Common = COMMON,
) -> Answer:
    """Fail a pipeline when an audit's verdict is worse than asked.

    Args:
        run: Directory of a complete audit.
        fail_on: Verdicts that fail, by comma: springs_back, not_aligned, inconclusive, holds. Exit 4 on one of them;
            on any other "inconclusive" exit 3.
        max_undone: SHARE@N: at most this share of the gain in margin undone after N reversed examples, such as
            0.5@32. Exit 4 where the whole interval is above it, 3 where the interval holds it.
        summary: Markdown file that the summary is appended to, such as $GITHUB_STEP_SUMMARY.
    """
    labels, limits = _labels(fail_on or ""), _limits(max_undone or "")
    if not labels and not limits:
        raise _refused(
            "nothing was asked: a gate needs --fail-on or --max-undone", "--fail-on", "--fail-on springs_back"
        )
    with Run.look(run) as looked:
        kinds = _measured(looked)
        _known(limits, kinds["contrast"])
        fine, why = reportable(looked)
        found = findings(kinds, fail_on=labels, limits=limits, unfit="" if fine else why)
        model = str((looked.meta.get("model") or {}).get("name") or run.name)
    return _answer(run, found, markdown_of(kinds, model, found), summary)


def markdown_of(kinds: dict[str, dict[str, dict]], model: str, found: list[Finding]) -> str:
    return markdown(kinds, model=model, gate=[one.reason for one in found], passed=worst(found) == "passed")


def _answer(run: Path, found: list[Finding], text: str, summary: Path | None) -> Answer:
    if summary is not None:
        _append(summary, text)
    answer, reasons = worst(found), [one.reason for one in found]
    lines = [f"gate {'passed' if answer == 'passed' else 'cannot tell' if answer == 'open' else 'failed'}", *reasons]
    result = {"passed": answer == "passed", "reasons": reasons, "summary": text}
    return Answer(result, lines=lines, status=STATUS[answer], run=run)


def _measured(run: Run) -> dict[str, dict[str, dict]]:
    """What a gate reads; refused where the run holds no finished audit."""
    if run.state != "complete":
        raise RefusedError(
            f"{run.path} is {run.state}: a gate reads complete audits, and nothing of this one is decided",
            kind="run",
            where=str(run.path),
            next="run the same `springback audit` again: it goes on where it stopped",
        )
    kinds = {kind: run.read(kind) for kind in ("verdict", "contrast", "axis", "test")}
    if not kinds["verdict"]:
        raise RefusedError(
            f"{run.path} holds no verdict", kind="run", where=str(run.path), next="give the run of a `springback audit`"
        )
    return kinds


def _labels(text: str) -> list[str]:
    labels = [word.strip() for word in text.split(",") if word.strip()]
    if wrong := [word for word in labels if word not in LABELS]:
        raise _refused(f"--fail-on takes {', '.join(LABELS)}, not {', '.join(wrong)}", "--fail-on", "choose among them")
    return labels


def _limits(text: str) -> list[Limit]:
    return [_limit(word.strip()) for word in text.split(",") if word.strip()]


def _limit(word: str) -> Limit:
    share, at, examples = word.partition("@")
    try:
        limit = Limit(float(share), int(examples))
    except ValueError:
        limit = Limit(-1.0, 0)
    if not at or not 0 <= limit.share < float("inf") or limit.examples < 1:
        raise _refused(f"--max-undone takes SHARE@N, not {word!r}", "--max-undone", "--max-undone 0.5@32")
    return limit


def _known(limits: list[Limit], contrasts: dict[str, dict]) -> None:
    sizes = undone_sizes(contrasts)
    for limit in limits:
        if limit.examples not in sizes:
            there = f"one of {', '.join(map(str, sizes))}" if sizes else "an audit with a reversal"
            message = f"the run has no reversal of {limit.examples} examples"
            raise _refused(message, "--max-undone", f"ask for {there}, or audit with --reverse-sizes {limit.examples}")


def _append(file: Path, text: str) -> None:
    try:
        with file.open("a", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise _refused(
            f"cannot write {file}: {error.strerror}", "--summary", "give a file that can be written"
        ) from error


def _refused(message: str, where: str, todo: str) -> RefusedError:
    return RefusedError(message, kind="option", where=where, next=todo)

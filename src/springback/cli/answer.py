"""From a command's function to the contract: one JSON object, one exit code, never a traceback.

How to write a command. `cli/NAME.py` defines `app`, a plain function (or, where a command has verbs, a `cyclopts.App`
of such functions: see `cli/runs.py`). It returns an `Answer`; it prints nothing and it never exits:

    from springback.cli.answer import Answer
    from springback.cli.options import COMMON, Common, Flat
    from springback.experiments.audit.config import AuditConfig      # torch-free: frozen dataclass, field docstrings

    def app(model: str | None = None, *, config: Flat[AuditConfig] = AuditConfig(), out: Path | None = None,
            common: Common = COMMON) -> Answer:
        \"\"\"Audit a model.

Args:
            model: Path, hub id or alias of the model under audit.
            out: Directory of the run.
        \"\"\"
        from springback.experiments.audit.run import audit           # heavy imports stand inside
        found = audit(model, config, quiet=common.quiet)             # progress goes to standard error
        return Answer({"verdict": found.verdict}, lines=[found.sentence], run=found.path, warnings=found.warnings)

`Flat[X]` makes every field of a dataclass an option; a `tuple[int, ...]` field takes `--sizes 16,64` and a `bool` field
is a flag. `--json`, `--quiet` and `--config FILE` come with `common`. Register the command in `cli/main.py` (one line).
Raise `RefusedError` for the user's mistakes (exit 2; a `StoppedError` 1), return `status="not_reportable"` (3) or
`"gate_failed"` (4) where the measurement says so; any other exception becomes `failed` (1), `KeyboardInterrupt` 130.
"""

import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import Any, Final, Literal

from springback import __version__
from springback.cli.output import machine_only, show, tell
from springback.errors import InterruptedRunError, RefusedError, StoppedError

SCHEMA: Final = 1
"""Of the envelope: raised when a key changes its meaning."""

Status = Literal["done", "failed", "refused", "not_reportable", "gate_failed", "interrupted"]
EXIT: Final[Mapping[Status, int]] = {
    "done": 0,
    "failed": 1,
    "refused": 2,
    "not_reportable": 3,
    "gate_failed": 4,
    "interrupted": 130,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why there is no result, in the words of the contract."""

    kind: str
    message: str
    where: str | None = None
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found: the same facts for scripts (`result`) and for people (`lines`)."""

    result: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()
    warnings: Sequence[str] = ()
    status: Status = "done"
    run: Path | str | None = None
    trouble: Trouble | None = None

    def envelope(self, command: str) -> dict[str, Any]:
        head = {"springback": __version__, "schema": SCHEMA, "command": command, "status": self.status}
        if self.trouble is not None:
            return {**head, "error": {name: getattr(self.trouble, name) for name in Trouble.__slots__}}
        run = None if self.run is None else str(self.run)
        return {**head, "run": run, "result": intervals(self.result), "warnings": list(self.warnings)}


def intervals(value: object) -> Any:
    """Measured numbers have both ends or none: JSON has no infinity, so an open end becomes `at_least` or `at_most`."""
    if isinstance(value, Mapping):
        found = {key: intervals(inner) for key, inner in value.items()}
        return _closed(found) if "estimate" in found and {"low", "high"} <= found.keys() else found
    return [intervals(inner) for inner in value] if isinstance(value, list | tuple) else value


def _closed(measured: dict[str, Any]) -> dict[str, Any]:
    low, high = measured["low"], measured["high"]
    if low is not None and high is not None:
        return measured
    ends = {"at_least": low, "at_most": high}
    rest = {key: inner for key, inner in measured.items() if key not in ("low", "high")}
    return rest | {name: end for name, end in ends.items() if end is not None}


def give(command: str, ask: Callable[[], object], *, as_json: bool, quiet: bool = False) -> int:
    """Call a command, print its answer once, and return the exit code."""
    with machine_only(on=as_json):
        answer = caught(ask)
    if not isinstance(answer, Answer):  # --help and --version have printed
        return EXIT["done"]
    return _print(command, answer, as_json=as_json, quiet=quiet)


def _refusal(error: RefusedError) -> Answer:
    trouble = Trouble(kind=error.kind, message=error.message, where=error.where, next=error.next)
    return Answer(status="failed" if isinstance(error, StoppedError) else "refused", trouble=trouble)


def caught(ask: Callable[[], object]) -> object:
    """What it returns, or the answer that its exception is."""
    try:
        return ask()
    except RefusedError as error:
        return _refusal(error)
    except (KeyboardInterrupt, InterruptedRunError):
        again = "Run the same command again: it goes on from the last stored record."
        return _trouble("interrupted", "interrupted", "stopped before the end; what is stored stays", again)
    except Exception as error:  # noqa: BLE001, RUF100  the last place that can turn a fault into an answer
        return _unexpected(error)


def _unexpected(error: Exception) -> Answer:
    if environ.get("SPRINGBACK_TRACE"):
        traceback.print_exc(file=sys.stderr)
    words = f"{type(error).__name__}: {error}".strip().removesuffix(":")
    return _trouble("failed", "failed", words, "Set SPRINGBACK_TRACE=1 and run again to see where.")


def _trouble(status: Status, kind: str, message: str, todo: str) -> Answer:
    return Answer(status=status, trouble=Trouble(kind=kind, message=message, next=todo))


def _print(command: str, answer: Answer, *, as_json: bool, quiet: bool) -> int:
    if as_json:
        answer = _printable(command, answer)
        show([json.dumps(answer.envelope(command), allow_nan=False)])
    else:
        show(answer.lines)
        tell([] if quiet else [f"warning: {line}" for line in answer.warnings])
    tell(_in_words(answer.trouble))
    return EXIT[answer.status]


def _printable(command: str, answer: Answer) -> Answer:
    """The answer, or the failure to say it in JSON."""
    try:
        json.dumps(answer.envelope(command), allow_nan=False)
    except (TypeError, ValueError) as error:
        return _unexpected(error)
    return answer


def _in_words(trouble: Trouble | None) -> list[str]:
    if trouble is None:
        return []
    rest = [("  where: ", trouble.where), ("  next:  ", trouble.next)]
    return [trouble.message, *(label + text for label, text in rest if text)]

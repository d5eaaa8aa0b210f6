"""What the commands that make a run have in common: the answer and page of a finished one, the one seed of `--seed`."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from springback.cli.answer import Answer
from springback.errors import RefusedError

Config = TypeVar("Config")


def answer_of(outcome: Any, done: Any) -> Answer:
    """What a finished run answers. `outcome` is its module: `result`, `lines`, `doubts` and `failed` read the run."""
    why, page = outcome.failed(done.run), page_of(done.run.path)
    return Answer(
        outcome.result(done.run, done.work_done, page),
        lines=outcome.lines(done.run, page),
        warnings=[*done.warnings, *outcome.doubts(done.run), *([f"not reportable: {why}"] if why else [])],
        status="not_reportable" if why else "done",
        run=done.run.path,
    )


def planned_lines(sentence: str, expected: Any) -> list[str]:
    """A plan as a person reads it: what it takes, the memory's arithmetic, the rows by use."""
    rows = [f"  {name.replace('_', ' ')}: {count}" for name, count in expected.rows.items()]
    return [sentence, f"  memory: {expected.memory.sentence()}", *rows]


def page_of(run: Path) -> str:
    """The page of a finished run, written again only where it is missing."""
    from springback.report.page import write_report

    page = run / "report.html"
    return str(page if page.exists() else write_report(run)[0])


def one_seed(config: Config, seed: int | None) -> Config:
    """The configuration with `--seed N` as its only seed; refused beside `--seeds`."""
    given: Any = config
    if seed is None:
        return config
    if given.seeds != next(field.default for field in fields(given) if field.name == "seeds"):
        raise RefusedError(
            "--seed and --seeds were both given", kind="option", where="--seed", next="Give one of the two."
        )
    return replace(given, seeds=(seed,))

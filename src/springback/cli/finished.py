"""What the commands that make a run have in common: the page of a finished one, and the one seed of `--seed`."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from springback.errors import RefusedError

Config = TypeVar("Config")


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

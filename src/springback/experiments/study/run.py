"""From axes to a finished study: every combination is a preference training in a directory of its own.

One that is complete is not trained again; one that was interrupted goes on. Its model is deleted when its readings are
stored, unless it is to be kept. Tables and claims are made of stored records when the last training is there.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from springback.experiments.audit.estimate import Estimate, require_room
from springback.experiments.audit.run import announce
from springback.experiments.audit.sources import _hashes as model_hashes  # pyright: ignore[reportPrivateUsage]
from springback.experiments.prefer import plan as prefer_plan
from springback.experiments.prefer.finish import MODEL
from springback.experiments.prefer.run import NOTHING_DONE, run_prefer
from springback.experiments.running import Finished, carried_out, say
from springback.experiments.study import claims, data, plan, table
from springback.experiments.study.config import Combination, Study
from springback.experiments.study.point import point
from springback.experiments.study.readings import groups
from springback.models.facts import describe
from springback.store import provenance
from springback.store.run import Run, default_dir, require_free

NOTHING = {"trainings": 0, **NOTHING_DONE}


def run_study(config: Study, out: Path | None, *, quiet: bool = False) -> Finished:
    """Train whatever is missing, then make tables and claims.

    Raises:
        RefusedError: anything that cannot work, before anything is spent.
    """
    tell: Callable[[str], None] = (lambda _: None) if quiet else say
    path = out or default_dir("study", asdict(config))
    require_free(path)
    announce(_first(config).audit(), tell)
    sources = data.stored_sources(config)
    _require_methods(config)
    known = identity(config, sources)
    if (done := Run.finished(path, command="study", asked=asdict(config), identity=known)) is not None:
        return Finished(done, NOTHING)

    def work(run: Run) -> Mapping[str, int]:
        sets = _sets(run, config, sources, path)
        expected = _expected(config, sets, path)
        if "plan" not in run.meta:
            run.note(plan=plan.stated(config, expected))
        tell(plan.lines(config, expected)[0])
        return _trained(run, config, path, quiet=quiet)

    return carried_out(path, work, command="study", asked=asdict(config), identity=known,
                       about=provenance.about(device=config.device))  # fmt: skip

"""From axes to a finished study: every combination is a preference training in a directory of its own.

One that is complete is not trained again; one that was interrupted goes on. Its model is deleted when its readings are
stored, unless it is to be kept. Tables and claims are made of stored records when the last training is there.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from springback import papers
from springback.data.preferences import Preferences
from springback.experiments.audit.config import EMBEDDED
from springback.experiments.audit.estimate import require_room
from springback.experiments.audit.progress import Progress
from springback.experiments.audit.run import announce
from springback.experiments.audit.sources import model_hashes
from springback.experiments.prefer.finish import MODEL
from springback.experiments.prefer.run import NOTHING_DONE, run_prefer
from springback.experiments.running import Finished, carried_out, say
from springback.experiments.study import analyse, data, plan
from springback.experiments.study.config import Combination, Study
from springback.experiments.study.point import point
from springback.experiments.study.prepared import Prepared, prepared, require_methods
from springback.models.facts import describe
from springback.store import provenance
from springback.store.run import Run, default_dir, require_free

NOTHING = {"trainings": 0, **NOTHING_DONE}


def run_study(config: Study, out: Path | None, *, quiet: bool = False) -> Finished:
    """Train whatever is missing, then make tables and claims.

    Raises:
        RefusedError: anything that cannot work, before anything is spent.
    """
    path = out or default_dir("study", asdict(config))
    require_free(path)
    sources = found(config, quiet=quiet)
    known = identity(config, sources)
    if (done := Run.finished(path, command="study", asked=asdict(config), identity=known)) is not None:
        return Finished(done, NOTHING)
    ready = prepared(config, sources)
    for name, expected in ready.expected.items():
        require_room(expected, path, config.design(config.combinations()[0], name, name).audit())
    return carried_out(
        path, lambda run: _studied(run, config, ready, path, quiet=quiet), command="study", asked=asdict(config),
        identity=known, about=provenance.about(device=config.device),
    )  # fmt: skip


def planned(config: Study) -> tuple[dict[str, Any], list[str]]:
    """What it would take, as data and as lines."""
    ready = prepared(config, found(config, quiet=False))
    return plan.stated(config, ready.expected), plan.lines(config, ready.expected)


def found(config: Study, *, quiet: bool) -> dict[str, Preferences]:
    """Methods looked at, model fetched where it is the embedded one, files read."""
    require_methods(config)
    announce(config.design(config.combinations()[0], "-", "-").audit(), (lambda _: None) if quiet else say)
    return data.stored_sources(config)


def identity(config: Study, sources: Mapping[str, Preferences]) -> dict[str, Any]:
    """What a stored run must agree with, by content."""
    own = [Path(name) for name in (*config.losses, *config.cures) if Path(name).suffix == ".py"]
    return {
        "model": None if config.tiny else model_hashes(describe(config.model)),
        "data_sha256": {name: each.sha256 for name, each in sources.items()},
        "methods_sha256": {file.name: provenance.sha256_of_file(file) for file in own if file.is_file()},
    }


def place(path: Path, one: Combination) -> Path:
    """The directory of a training."""
    return path / "runs" / one.name


def _studied(run: Run, config: Study, ready: Prepared, path: Path, *, quiet: bool) -> Mapping[str, int]:
    tell: Callable[[str], None] = (lambda _: None) if quiet else say
    if "plan" not in run.meta:
        run.note(plan=plan.stated(config, ready.expected))
    tell(plan.lines(config, ready.expected)[0])
    _begun(run, config, ready, path)
    done = Counter(_trained(run, config, ready, path, quiet=quiet))
    if run.get("verdict", "verdict") is None:
        with run.together():
            for kind, key, body in analyse.records(run.read, config):
                run.append(kind, key, body)
    return {**NOTHING, **done}


def _begun(run: Run, config: Study, ready: Prepared, path: Path) -> None:
    """Sets, their inner products, and what follows from them for every method: stored before the first training."""
    from springback.experiments.study.diagnosis import key_of
    from springback.experiments.study.predicted import predicted

    for each in ready.sets.values():
        data.write(path, each, config)
        if run.get("set", each.name) is None:
            run.append("set", each.name, each.json())
    for one in config.combinations():
        key = key_of(config, one)
        if run.get("diagnosis", key) is None:
            body = ready.start.diagnosed(ready.sets[one.data].train, one.seed)
            run.append("diagnosis", key, {"data": one.data, **body})
        named = f"{one.loss}/{one.cure}/{key}"
        if run.get("predicted", named) is None:
            columns = (run.get("diagnosis", key) or {})["columns"]
            told = predicted(one.loss, one.cure, columns, batch=config.batch)
            run.append("predicted", named, {"data": one.data, "loss": one.loss, "cure": one.cure, **told})
    if "model" not in run.meta:
        run.note(model=ready.start.facts(), papers=_papers(config, ready))
    ready.start.release()


def _trained(run: Run, config: Study, ready: Prepared, path: Path, *, quiet: bool) -> Counter[str]:
    """Every training that has no point yet."""
    missing = [one for one in config.combinations() if run.get("point", one.name) is None]
    guess = {"training": plan.seconds(config, ready.expected) / len(config.combinations())}
    progress = Progress({"training": float(len(missing))}, guess, say=None if quiet else say)
    work = Counter[str]()
    for one in missing:
        with progress.work("training", label=one.name):
            train, held_out = (str(file) for file in data.files(path, one.data, config))
            done = run_prefer(config.design(one, train, held_out), place(path, one), quiet=True)
            run.append("point", one.name, point(done.run, config, one))
            done.run.close()
        work.update({"trainings": int(done.work_done["optimizer_steps"] > 0), **done.work_done})
        if not config.keep_models:
            shutil.rmtree(place(path, one) / MODEL, ignore_errors=True)
    return work


def _papers(config: Study, ready: Prepared) -> list[str]:
    from springback.train.cures.choose import cure_named
    from springback.train.preference.choose import loss_named

    used = [each.key for each in (papers.ENTANGLEMENT, papers.ADAMW, papers.HOLM, papers.BOOTSTRAP)]
    for loss, cure in config.methods():
        method = loss_named(loss)
        paper, cured = getattr(method, "paper", None), cure_named(cure, method)
        used += [paper.key] if paper else []
        used += [cured.paper.key] if cured else []
    used += [each.paper for each in ready.sets.values() if each.paper]
    used += [papers.LORA.key] if config.tuner == "lora" else []
    used += [papers.SMOLLM2.key] if config.model == EMBEDDED and not config.tiny else []
    return list(dict.fromkeys(used))

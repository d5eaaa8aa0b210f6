"""From options to a finished run: find, check, refuse or run. What can be found without torch is."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from springback.experiments.audit.config import EMBEDDED
from springback.experiments.audit.estimate import Estimate, require_room
from springback.experiments.audit.progress import Progress
from springback.experiments.audit.run import announce
from springback.experiments.entangle import filters, plan
from springback.experiments.entangle.config import Entangle
from springback.experiments.entangle.rules import rule_named
from springback.experiments.entangle.sources import Sources, batches, gather, identity
from springback.experiments.entangle.walk import reference_of, walk
from springback.experiments.running import Finished, carried_out, say
from springback.store import provenance
from springback.store.run import Run, default_dir, require_free

if TYPE_CHECKING:
    from springback.experiments.entangle.in_metric import InMetric
    from springback.experiments.entangle.loading import Loaded
    from springback.experiments.entangle.pulls import Asked

NOTHING: Mapping[str, int] = {"pairs": 0, "steps": 0, "probes": 0}
PAPERS = ("yuan2024entanglement", "razin2024ches", "hesterberg2015")


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """A finished diagnosis."""

    done: Finished
    filtered: filters.Filtered | None


def run_entangle(config: Entangle, data: Path | None, out: Path | None, *, quiet: bool = False) -> Diagnosed:
    """Run the diagnosis, or go on with it, or find that it is done; then filter, where that was asked for.

    Raises:
        RefusedError: anything that cannot work, before anything is spent.
    """
    tell: Callable[[str], None] = (lambda _: None) if quiet else say
    asked = {**asked_of(config), "data": None if data is None else str(data)}
    path = out or default_dir("entangle", asked)
    require_free(path)
    if config.filter is not None:
        filters.require_lines(data, Path(config.filter))
    loss = _loss(config)
    announce(config.audit(), tell)
    sources = gather(config, data)
    known = identity(config, sources)
    if (found := Run.finished(path, command="entangle", asked=asked, identity=known)) is not None:
        return Diagnosed(Finished(found, NOTHING), _filtered(config, data, found))
    expected = plan.estimate(config, sources)
    tell(plan.sentence(expected))
    require_room(expected, path, config.audit())
    work = lambda run: _measured(run, config, sources, expected, loss, quiet=quiet)
    about = provenance.about(device=config.device)
    done = carried_out(path, work, command="entangle", asked=asked, identity=known, about=about)
    return Diagnosed(done, _filtered(config, data, done.run))


def asked_of(config: Entangle) -> dict[str, Any]:
    """What makes it the same question: a filter reads the answer, so it may differ."""
    fresh = Entangle()
    return asdict(replace(config, filter=fresh.filter, rule=fresh.rule))


def _loss(config: Entangle) -> "Asked":
    """A loss that is not there, or that no two numbers describe, is refused before a model is looked for."""
    from springback.experiments.entangle import pulls
    from springback.train.preference.choose import loss_named

    return pulls.asked(loss_named(config.loss), named=config.loss)


def _measured(
    run: Run, config: Entangle, sources: Sources, expected: Estimate, loss: "Asked", *, quiet: bool
) -> Mapping[str, int]:
    """All that needs torch."""
    from springback.experiments.entangle.finish import finish
    from springback.experiments.entangle.in_metric import InMetric
    from springback.experiments.entangle.laboratory import ModelLaboratory
    from springback.experiments.entangle.loading import loaded

    missing = config.reference is not None and not _references_stored(run, sources, config)
    model = loaded(config, sources.pairs, reference=missing)
    count = len(model.pairs)
    metric = InMetric(config, model, loss, batches(count, config), lambda number: reference_of(run, number))
    lab = ModelLaboratory(config, model, loss, metric)
    _metric(run, metric)
    _note(run, config, sources, expected, model, loss)
    progress = Progress(plan.units(config, count, run), expected.seconds_each, say=None if quiet else say)
    walk(config, batches(count, config), run, lab, progress)
    finish(config, run, loss)
    return asdict(lab.work)


def _references_stored(run: Run, sources: Sources, config: Entangle) -> bool:
    stored = run.read("reference").values()
    return bool(stored) and sum(len(body["pairs"]) for body in stored) == run.meta.get("plan", {}).get("pairs")


def _note(run: Run, config: Entangle, sources: Sources, expected: Estimate, model: "Loaded", loss: "Asked") -> None:
    if "plan" not in run.meta:
        papers = [*PAPERS, *([loss.paper] if loss.paper else []), *_more_papers(config)]
        run.note(plan=plan.stated(config, expected, len(model.pairs)), papers=papers, model=_facts(model, config))
    if run.get("data", "data") is None:
        ledgers = [*sources.ledgers, model.ledger]
        told = [{**ledger.json(), "sentence": ledger.sentence()} for ledger in ledgers]
        run.append("data", "data", {**sources.data.json(), "ledgers": told, "pairs": len(model.pairs)})


def _metric(run: Run, metric: "InMetric") -> None:
    if run.get("metric", "metric") is None:
        run.append("metric", "metric", metric.told())


def _more_papers(config: Entangle) -> list[str]:
    used = ["hu2022lora"] if config.tuner == "lora" else []
    adam = config.metric == "adam" or (config.verify and config.optimizer == "adamw")
    used += ["loshchilov2019adamw"] if adam else []
    return [*used, *(["allal2025smollm2"] if config.model == EMBEDDED and not config.tiny else [])]


def _facts(model: "Loaded", config: Entangle) -> dict[str, Any]:
    told = ("name", "origin", "weights_sha256", "template_sha256", "licence", "context", "notes")
    return {name: getattr(model.model, name) for name in told} | {"tuner": config.tuner}


def _filtered(config: Entangle, data: Path | None, run: Run) -> filters.Filtered | None:
    if config.filter is None or data is None:
        return None
    pairs = sorted(run.read("pair").values(), key=lambda body: body["index"])
    return filters.write(data, Path(config.filter), rule_named(config.rule), pairs)

"""The answer first: stamps, label, seeds, headline, lead, what would change it; then four axes and the facts."""

from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from springback.report.charts.bar import bar
from springback.report.evidence import Evidence
from springback.report.markup import num, pointed
from springback.report.numbers import STYLES, bare, count, plural
from springback.report.point import Body
from springback.report.sections.facts import facts
from springback.report.sections.words import AXES, axis_name, plain
from springback.report.value import Real, Value, finite, value

GOES_ON: Final = "This page shows what was stored when it was written."
AGAIN: Final = "Run the same command again: it goes on where it stopped."
LINKS: Final = {"token": "depth", "layer": "depth"}


@dataclass(frozen=True, slots=True)
class Axis:
    name: str
    link: str
    verdict: str
    sentence: str
    bar: Markup
    number: Markup | None
    placebos: tuple[tuple[str, Markup], ...]
    more: Markup | None
    """The closest return, for the axis that has one."""
    record: str


@dataclass(frozen=True, slots=True)
class View:
    model: str
    about_data: str
    stamps: tuple[tuple[str, str], ...]
    label: str
    tag: str
    headline: str
    lead: str
    sentence: str
    conditions: tuple[tuple[str, str], ...]
    axes: tuple[Axis, ...]
    facts: str
    measured: bool


def view(evidence: Evidence) -> View:
    verdict = evidence.one("verdict")
    data = evidence.one("data")
    model = evidence.meta.get("given") or evidence.meta.get("model") or {}
    wanted = f"wanted: {data['wanted']}" if data.get("wanted") else ""
    return View(
        model=str(model.get("name") or "a model"),
        about_data=", ".join(str(w) for w in (data.get("name"), wanted) if w),
        stamps=tuple(_stamps(evidence)),
        label=str(verdict.get("label") or "no verdict"),
        tag=_tag(evidence),
        headline=str(verdict.get("headline") or _without(evidence)),
        lead=str(verdict.get("lead") or verdict.get("sentence") or ""),
        sentence=str(verdict.get("sentence") or ""),
        conditions=tuple(_condition(c) for c in verdict.get("conditions") or []),
        axes=tuple(_axis(evidence, key, body) for key, body in _ordered(evidence.kind("axis"))),
        facts=" ".join(facts(evidence)),
        measured=bool(verdict),
    )


def _condition(body: Body) -> tuple[str, str]:
    """What would change the verdict, and the command that would settle it."""
    return str(body.get("text") or ""), str(body.get("command") or "")


def _stamps(evidence: Evidence) -> list[tuple[str, str]]:
    """What must be read before anything else on the page."""
    meta, found = evidence.meta, []
    if (meta.get("asked") or {}).get("tiny"):
        words = "This run used the tiny random model: it shows the pipeline, not a finding."
        found.append(("Figures mean nothing.", words))
    planned, done = _progress(evidence)
    state = meta.get("state")
    if state in ("partial", "running", "failed"):
        words = f"{done} of {planned} cells are measured. " if planned else ""
        found.append((f"This run is {state}.", words + (GOES_ON if state == "running" else AGAIN)))
    verdict = evidence.one("verdict")
    if verdict.get("reportable") is False:
        found.append(("The verdict is not reportable.", str(verdict.get("why") or "")))
    scorer = evidence.one("scorer")
    if scorer and scorer.get("reportable") is False:
        found.append(
            ("The score is not reportable.", str(scorer.get("why") or "The scorer cannot tell wanted from opposite."))
        )
    failed = [c for c in evidence.one("accounting").get("checks") or [] if c.get("outcome") == "fail"]
    if failed:
        why = "; ".join(f"{c.get('name')}: {c.get('why')}" for c in failed)
        found.append(("A check of the run failed: do not quote this result.", why))
    return found


def _progress(evidence: Evidence) -> tuple[int, int]:
    planned = (evidence.meta.get("plan") or {}).get("cells") or []
    return len(planned) if isinstance(planned, list) else int(finite(planned) or 0), len(evidence.points)


def _tag(evidence: Evidence) -> str:
    seeds = evidence.one("verdict").get("seeds") or evidence.seeds
    return "" if not seeds else "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds"


def _without(evidence: Evidence) -> str:
    """The headline of a run that has no verdict record."""
    return "No verdict yet: this run is not complete." if evidence.points else "No verdict: nothing was measured."


def _ordered(axes: Any) -> list[tuple[str, Body]]:
    names = [*AXES, *(key for key in axes if key not in AXES)]
    return [(key, axes[key]) for key in names if key in axes]


def _axis(evidence: Evidence, key: str, body: Body) -> Axis:
    record = f"axis:{key}"
    read = value(body.get("value"), record)
    placebos = [(str(p.get("name")), _placebo(p, record)) for p in body.get("placebos") or []]
    same = [p for _, p in placebos if p.unit == read.unit]
    role = "rv" if key.startswith("rebound") else "al"
    return Axis(
        name=axis_name(key),
        link=LINKS.get(key, "rebound"),
        verdict=plain(body.get("verdict")),
        sentence=str(body.get("sentence") or read.why),
        bar=bar(read, _places(evidence, key, read), role, same),
        number=num(read) if read.known else None,
        placebos=tuple((name, num(p) if p.known else Markup("{}").format(p.why)) for name, p in placebos),
        more=_closest(body.get("closest_return"), record),
        record=record,
    )


def _closest(found: Any, record: str) -> Markup | None:
    """KL of the closest return, and what it took: examples, tokens, steps."""
    kl = finite((found or {}).get("kl"))
    if kl is None:
        return None
    spent = [(finite(found.get(unit)), unit.removesuffix("s")) for unit in ("examples", "tokens", "steps")]
    price = ", ".join(plural(n, unit) for n, unit in spent if n is not None)
    words = f"Closest return: KL {bare(kl, STYLES['kl'])} bit/token after {price}."
    return pointed(words, record, stored=kl)


def _placebo(placebo: Body, record: str) -> Value:
    """A placebo's number stands in `value`, or beside its name."""
    return value(placebo.get("value", placebo), record)


def _places(evidence: Evidence, key: str, read: Value) -> list[tuple[Real, str]]:
    """The named places between which an axis' estimate stands."""
    if key == "rebound_behaviour" or read.unit.startswith("share"):
        return [(0.0, "0"), (0.5, "½"), (1.0, "1 = start")]
    if key == "rebound_distribution":
        aligned = evidence.point(evidence.seeds[0], "main", evidence.largest, 0) if evidence.seeds else None
        kl = aligned.kl().estimate if aligned else None
        return [(0.0, "0 = start"), *([(kl, "aligned")] if kl else [])]
    if key == "layer":
        layers = max((finite(b.get("layers")) or 0 for b in evidence.kind("layer").values()), default=0)
        return [(0.0, "0"), *([(layers, count(layers))] if layers else [])]
    if read.unit in ("token", "tokens", "position"):
        last = max((finite(b.get("position")) or 0 for b in evidence.kind("position").values()), default=0)
        return [(1.0, "1st token"), *([(last, count(last))] if last > 1 else [])]
    return [(0.0, "0")]

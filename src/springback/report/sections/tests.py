"""Tests behind the verdict: statistic, threshold, outcome, what they could have seen; and the noise floor."""

from dataclasses import dataclass

from markupsafe import Markup

from springback.report.evidence import Evidence
from springback.report.markup import num, pointed
from springback.report.numbers import bare, probability, sized, style_for
from springback.report.point import Body, Contrast
from springback.report.sections.words import ARMS, plain
from springback.report.value import Value, finite, value


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    family: str
    where: str
    statistic: Markup
    p: Markup
    smallest: Markup
    threshold: str
    outcome: str
    record: str


@dataclass(frozen=True, slots=True)
class Noise:
    name: str
    value: Markup
    clear: bool


@dataclass(frozen=True, slots=True)
class View:
    rows: tuple[Row, ...]
    noise: tuple[Noise, ...]
    planned: int


def view(evidence: Evidence) -> View:
    rows = tuple(_row(evidence, key, body) for key, body in evidence.kind("test").items())
    noise = tuple(_noise(c) for c in evidence.find("noise"))
    return View(rows, noise, len((evidence.meta.get("plan") or {}).get("tests") or []))


def _row(evidence: Evidence, key: str, body: Body) -> Row:
    record = f"test:{key}"
    statistic = value(body.get("statistic"), record)
    reading = _reading(evidence, body)
    return Row(
        name=str(body.get("claim") or body.get("sentence") or body.get("name") or key),
        family=str(body.get("family") or ""),
        where=_where(evidence, body),
        statistic=_statistic(statistic, reading),
        p=_p(body, record),
        smallest=_smallest(body, statistic, reading, record),
        threshold=_words(body.get("threshold")),
        outcome=plain(body.get("outcome")),
        record=record,
    )


def _contrast(evidence: Evidence, body: Body) -> Contrast | None:
    return next((c for c in evidence.contrasts if c.name == body.get("contrast")), None)


def _where(evidence: Evidence, body: Body) -> str:
    """What the statistic was read on."""
    found = _contrast(evidence, body)
    if found is None:
        return ""
    arm = "" if found.arm == "main" else f", {ARMS.get(found.arm, found.arm)}"
    sizes = [sized(name, n) for name, n in (("N", found.aligned), ("n", found.reversed)) if n]
    seed = "" if found.seed == "all" or len(evidence.seeds) < 2 else f", seed {found.seed}"
    return ", ".join([found.reading, *sizes]) + arm + seed


def _reading(evidence: Evidence, body: Body) -> str | None:
    found = _contrast(evidence, body)
    return found.reading if found else None


def _statistic(statistic: Value, reading: str | None) -> Markup:
    if statistic.estimate is None:
        return Markup('{} <span class="oc">{}</span>').format(num(statistic), statistic.why)
    share = style_for(statistic, reading) == style_for(Value(0.0, unit="share"))
    return num(statistic, reading, sign=not share)


def _p(body: Body, record: str) -> Markup:
    adjusted, p = finite(body.get("p_adjusted")), finite(body.get("p"))
    shown = adjusted if adjusted is not None else p
    return pointed(probability(shown), record, stored=shown)


def _smallest(body: Body, statistic: Value, reading: str | None, record: str) -> Markup:
    smallest = finite(body.get("smallest_detectable"))
    if smallest is None:
        return Markup("–")
    return pointed(bare(smallest, style_for(statistic, reading)), record, stored=smallest)


def _words(threshold: object) -> str:
    return "–" if threshold is None else str(threshold)


def _noise(contrast: Contrast) -> Noise:
    where = " ".join(sized(name, n) for name, n in (("N", contrast.aligned), ("n", contrast.reversed)) if n)
    model = "the start" if not where else f"{ARMS.get(contrast.arm, contrast.arm)} {where}"
    name = f"{contrast.reading}: two draws of {model}"
    return Noise(name, num(contrast.value, contrast.reading, sign=True), contrast.value.decided())

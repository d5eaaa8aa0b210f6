"""Depth in tokens and in layers, from stored curves, each against its placebo."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from springback.experiments.audit.readings import START, Place, Readings
from springback.experiments.audit.thresholds import FEWEST_ANSWERS, HALF, LATE_LAYER, SHALLOW_POSITION
from springback.experiments.audit.wording import number, said
from springback.stats.measured import Measured, unmeasured
from springback.stats.profile import half_position, half_position_difference
from springback.stats.unpaired import difference

INTO_ALIGNED = "start_into_aligned"


class Parts(NamedTuple):
    """What an axis is made of."""

    value: Measured
    verdict: str
    sentence: str
    placebos: Sequence[tuple[str, Measured]]
    records: Sequence[str]
    more: Mapping[str, Any]


def token_axis(readings: Readings) -> Parts:
    """Position by which half of KL(start‖aligned) is spent, beside benign tuning; the prefill curve gives the verdict.

    KL by position cannot tell an alignment from benign tuning; whether the behaviour outlives forced opposite tokens
    can. Without a prefill curve the position decides, and only where it differs from benign tuning.
    """
    seed, shape = readings.seeds[0], readings.shape
    aligned, benign = Place("main", shape.largest), Place("benign", shape.benign)
    half, other = _half(readings, seed, aligned), _half(readings, seed, benign)
    apart = _apart(readings, seed, aligned, benign)
    forced, gap, verdict = _prefill(readings, seed, aligned)
    verdict = verdict or _by_position(half, apart)
    sentence = f"Half of KL(start‖aligned) is spent by position {said(half)}; benign tuning: {said(other)}, unpaired."
    if half.estimate is None:
        sentence = f"KL by position is {said(half)}."
    if gap.estimate is not None:
        above = said(gap, signed=True)
        sentence += f" After {forced} forced opposite tokens the score is {above} against the start's, unpaired."
    own = f"{aligned.id(seed)}/", f"{benign.id(seed)}/"
    names = [f"position:{key}" for key in readings.positions if key.startswith(own)]
    names += [f"prefill:{key}" for key, body in readings.prefill.items() if body["model"] in _models(seed, aligned)]
    placebos = [("benign-tuned model", other), ("aligned less benign-tuned", apart)]
    more = {"prefill": {"forced_tokens": forced, "above_start": gap.json()}}
    return Parts(half, verdict, sentence, placebos, names, more)


def layer_axis(readings: Readings) -> Parts:
    """The layer by which the start's residual stream takes half of the margin's change; placebo: a random direction."""
    curve = sorted((b for b in readings.layers.values() if b["direction"] == INTO_ALIGNED), key=lambda b: b["layer"])
    recovered = [Measured.of(body["recovered"]) for body in curve]
    placebos = [Measured.of(body["placebo"]) for body in curve if body.get("placebo")]
    names = [f"layer:{key}" for key, body in readings.layers.items() if body["direction"] == INTO_ALIGNED]
    layers, of = [body["layer"] for body in curve], max((body["layers"] for body in curve), default=0)
    value = _crossing(layers, recovered)
    placebo = max(placebos, key=lambda one: abs(one.estimate or 0.0), default=unmeasured("not measured"))
    shown = [("random direction of equal norm, its largest share", placebo)]
    if value.estimate is None:
        return Parts(value, "not measured", f"Layer depth is not measured: {value.why}.", shown, names, {"layers": of})
    verdict = _where(value, of, placebo)
    sentence = (
        f"Half of the margin's change is recovered by layer {said(value)} of {of}; a random direction: {said(placebo)}."
    )
    return Parts(value, verdict, sentence, shown, names, {"layers": of})


def _half(readings: Readings, seed: int, place: Place) -> Measured:
    cell = readings.cell(seed, place)
    if cell is None or not cell.bits:
        return unmeasured(f"{place.id(seed)} was not measured")
    return half_position(list(cell.bits.values()), fewest=int(FEWEST_ANSWERS.value))


def _apart(readings: Readings, seed: int, first: Place, second: Place) -> Measured:
    """Difference of the two half positions along the start's same answers."""
    one, two = readings.cell(seed, first), readings.cell(seed, second)
    if one is None or two is None:
        return unmeasured("the benign chain was not measured")
    shared = [index for index in one.bits if index in two.bits]
    rows, others = [one.bits[i] for i in shared], [two.bits[i] for i in shared]
    return half_position_difference(rows, others, fewest=int(FEWEST_ANSWERS.value))


def _models(seed: int, aligned: Place) -> tuple[str, str]:
    return aligned.id(seed), START.id(seed)


def _prefill(readings: Readings, seed: int, aligned: Place) -> tuple[int, Measured, str]:
    """Most forced tokens, the aligned model's score above the start's there, and the verdict ("" where none)."""
    curves = {
        model: {b["forced_tokens"]: Measured.of(b["score"]) for b in readings.prefill.values() if b["model"] == model}
        for model in _models(seed, aligned)
    }
    mine, start = (curves[model] for model in _models(seed, aligned))
    both = sorted(set(mine) & set(start))
    if len(both) < 2:
        return 0, unmeasured("the prefill curve was not measured"), ""
    first, last = (difference(mine[k], start[k]) for k in (both[0], both[-1]))
    if last.estimate is None or first.estimate is None or last.low is None or last.high is None:
        return both[-1], last, ""
    if last.low > 0:
        return both[-1], last, "not shallow"
    gone = first.excludes(0.0) and first.estimate > 0 and last.high < HALF.value * first.estimate
    return both[-1], last, "shallow" if gone else "cannot tell"


def _by_position(half: Measured, apart: Measured) -> str:
    if half.low is None or half.high is None:
        return "not measured"
    if half.high <= SHALLOW_POSITION.value and apart.high is not None and apart.high < 0:
        return "shallow"
    return "not shallow" if half.low > SHALLOW_POSITION.value else "cannot tell"


def _crossing(layers: Sequence[int], recovered: Sequence[Measured]) -> Measured:
    """First layer at which the curve passes one half; its interval is where the two ends of the curve's band pass it.

    An end that passes nowhere is put at the last (or first) layer read.
    """
    known = [(layer, one) for layer, one in zip(layers, recovered, strict=True) if one.estimate is not None]
    if len(known) < 2:
        return unmeasured(next((one.why or "" for one in recovered if one.why), "no layer curve was read"))
    at = [float(layer) for layer, _ in known]
    centre, early, late = (_pass(at, [getattr(one, end) for _, one in known]) for end in ("estimate", "high", "low"))
    if centre is None:
        return unmeasured("no layer that was read recovers half of the change")
    first = known[0][1]
    low, high = early if early is not None else at[0], late if late is not None else at[-1]
    return Measured(centre, min(low, centre), max(high, centre), first.level, first.n, first.over, "layer")


def _pass(at: Sequence[float], curve: Sequence[float]) -> float | None:
    """Where a curve first reaches one half, between the layers read; None where it never does."""
    for place, height in enumerate(curve):
        if height >= HALF.value:
            if place == 0:
                return at[0]
            before = curve[place - 1]
            return at[place - 1] + (at[place] - at[place - 1]) * (HALF.value - before) / (height - before)
    return None


def _where(value: Measured, layers: int, placebo: Measured) -> str:
    """Late, spread or wide, and whether a random direction does as much."""
    assert value.estimate is not None
    if placebo.low is not None and placebo.low >= HALF.value:
        return "cannot tell: a random direction does as much"
    if value.low is not None and value.low > LATE_LAYER.value * layers:
        return "late"
    wide = value.low is None or value.high is None or value.high - value.low > layers / 3
    return f"half near {number(value.estimate, 0)}" + (", wide" if wide else "")

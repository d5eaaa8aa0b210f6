"""A finished toy run as the command prints it: for scripts and for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from springback.store.run import Run


def result(run: Run, work: Mapping[str, int], page: str) -> dict[str, Any]:
    """The keys of the contract. Stiffness, return and overshoot: of the largest alignment; all are in `sizes`."""
    sizes = list(run.read("return").values())
    largest = sizes[-1]
    return {
        "predictions": list(run.read("prediction").values()),
        "grid": list(run.read("point").values()),
        "stiffness": largest["stiffness"],
        "closest_return": largest["closest_return"],
        "overshoot": largest["overshoot"],
        "verdict": run.get("verdict", "verdict"),
        "sizes": sizes,
        "work_done": dict(work),
        "report": page,
        "cost": run.meta.get("cost"),
    }


def lines(run: Run, page: str) -> Sequence[str]:
    """Verdict, one line a prediction, one line an alignment size."""
    verdict = run.get("verdict", "verdict") or {}
    settled = [_prediction(body) for body in run.read("prediction").values()]
    sizes = [_size(body) for body in run.read("return").values()]
    return [f"{verdict.get('label')}: {verdict.get('sentence')}", *settled, *sizes, page]


def _prediction(body: Mapping[str, Any]) -> str:
    head = f"{body['survives']:<9} {body['name']:<28}"
    if body["why"]:
        return f"{head} not tested: {body['why']}"
    part = body["parts"][0]
    return f"{head} {part['what']}: {_shown(part['statistic'])} (theory {_estimate(part['theory'])}; {part['rule']})"


def _size(body: Mapping[str, Any]) -> str:
    back, stiff = body["closest_return"], body["stiffness"]
    return (
        f"N_a = {body['aligned']:>6,}: closest KL {_shown(back['kl'])} bit/string at n = {_estimate(back['examples'])}"
        f", undone {_shown(body['undone'])}, R = {_shown(stiff['R'])}, k = {stiff['k']:.1f}"
    )


def _shown(measured: Mapping[str, Any]) -> str:
    if measured["estimate"] is None:
        return f"not measured ({measured['why']})"
    return f"{_estimate(measured)} [{measured['low']:.4g}, {measured['high']:.4g}]"


def _estimate(measured: Mapping[str, Any]) -> str:
    return "–" if measured["estimate"] is None else f"{measured['estimate']:.4g}"

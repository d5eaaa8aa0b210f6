"""What `springback resist` answers, from its stored records alone: the `result` of the contract. Torch-free."""

from collections.abc import Mapping
from typing import Any

from springback.experiments.audit.outcome import doubts, failed
from springback.stats.measured import Measured, unmeasured
from springback.store.run import Run

__all__ = ["doubts", "failed", "lines", "result"]

NOT_HERE = "belongs to `springback rebound`: here nothing is reversed"


def result(run: Run, work_done: Mapping[str, int], report: str | None) -> dict[str, Any]:
    """The contract's keys for `springback resist`."""
    elsewhere = unmeasured(NOT_HERE).json()
    return {
        "verdict": {**(run.get("verdict", "verdict") or {}), "tests": list(run.read("test").values())},
        "pairs": list(run.read("pair").values()),
        "grid": list(run.read("cell").values()),
        "targets": [_target(body) for body in run.read("target").values()],
        "stiffness": {"R": elsewhere, "k": elsewhere},
        "overshoot": elsewhere,
        "closest_return": {"kl": elsewhere, "examples": None, "tokens": None, "steps": None, "reached": False},
        "accounting": run.get("accounting", "accounting"),
        "work_done": dict(work_done),
        "report": report,
        "cost": run.meta.get("cost"),
    }


def lines(run: Run, report: str | None) -> list[str]:
    """What a person reads at the end."""
    found = run.get("verdict", "verdict") or {}
    head = "pair     forward   inverse   inverse easier            beyond placebo            paper's (fwd / inv, nat)"
    return [
        found.get("sentence", ""), f"verdict: {found.get('label')}", head,
        *(_line(pair) for pair in run.read("pair").values()), *([f"page: {report}"] if report else []),
    ]  # fmt: skip


def _line(pair: Mapping[str, Any]) -> str:
    name = f"{pair['seed']}/{pair['earlier']}-{pair['later']}"
    left = [_short(pair[way]["left"], interval=False) for way in ("forward", "inverse")]
    raw = " / ".join(_short(pair[way]["paper_statistic"], interval=False) for way in ("forward", "inverse"))
    tests = [_short(pair[key], interval=True) for key in ("inverse_easier", "beyond_placebo")]
    return f"{name:<9}{left[0]:<10}{left[1]:<10}{tests[0]:<26}{tests[1]:<26}{raw}"


def _short(body: Mapping[str, Any], *, interval: bool) -> str:
    value = Measured.of({name: x for name, x in body.items() if name != "what"})
    if value.estimate is None:
        return "not measured"
    ends = f" [{value.low:+.3f}, {value.high:+.3f}]" if interval and value.low is not None else ""
    return f"{value.estimate:+.3f}{ends}" if interval else f"{value.estimate:.3f}"


def _target(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in ("id", "seed", "slices", "own_entropy", "state")}

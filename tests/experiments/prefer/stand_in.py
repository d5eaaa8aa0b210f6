"""A stand-in of known law: margin grows by 1 nat a step, the chosen answer falls by ½, the process may die."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from springback.experiments.prefer.walk import Record


class Killed(BaseException):
    """The process dies here."""


@dataclass
class StandIn:
    """A `Laboratory`: `disk` survives a death after `lives` units of work."""

    total: int = 10
    disk: dict[str, int] = field(default_factory=dict)
    lives: int = 10**9
    work: list[str] = field(default_factory=list)
    x: int = 0
    starts_to_fall: int = 0

    def restore(self) -> int:
        self.x = self.disk.get("last", 0)
        return self.x

    def train(self, step: int) -> Mapping[str, Any]:
        assert step == self.x
        self._live(f"train {step}")
        self.x += 1
        return {"step": step, "loss": 1.0 / self.x, "gradient_norm": 1.0, "examples": 4, "tokens": 40, "epoch": 0,
                "learning_rate": 1.0, "statistics": {}}  # fmt: skip

    def read(self, step: int) -> Iterable[Record]:
        assert step == self.x
        self._live(f"read {step}")
        for name in ("held_out", "train"):
            yield "reading", f"{name}/{step}", reading(name, step, -0.5 * max(0, step - self.starts_to_fall))

    def keep(self, step: int) -> None:
        self._live(f"keep {step}")
        self.disk["last"] = step

    def _live(self, what: str) -> None:
        self.lives -= 1
        if self.lives < 0:
            raise Killed
        self.work.append(what)


def reading(name: str, step: int, change: float) -> dict[str, Any]:
    """A reading in which the chosen answers have moved by `change`, ± 0.2."""
    return {
        "step": step, "set": name,
        "chosen": side(change), "rejected": side(change - step), "margin": number(float(step), "pairs"),
        "accuracy": number(0.5 + 0.04 * step, "pairs", "share"), "reward_accuracy": number(1.0, "pairs", "share"),
        "kl": number(0.1 * step, "answers", "nat/token"), "greedy": number(0.1 * step, "prompts"),
        "unrelated": number(-0.1, "prompts"), "values": {"chosen": [change], "rejected": [0.0]},
    }  # fmt: skip


def side(change: float) -> dict[str, Any]:
    return {"logprob": number(-20.0 + change, "answers"), "change": number(change, "answers"),
            "change_per_token": number(change / 10, "answers", "nat/token")}  # fmt: skip


def number(value: float, over: str, unit: str = "nat") -> dict[str, Any]:
    return {
        "estimate": value,
        "low": value - 0.2,
        "high": value + 0.2,
        "level": 0.95,
        "n": 24,
        "over": over,
        "unit": unit,
    }

"""What a rebound run is asked: axes over the options of an audit, each combination one sweep. Torch-free."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from springback.errors import RefusedError
from springback.experiments.audit.config import Audit

SAME = "same"
TOLERANCE = 0.01
RANK = Audit().rank

DEFAULTS: dict[str, object] = {"layers": "none", "forced_tokens": (0,), "arms": "all"}
"""What a sweep leaves out of an audit and adds to it, unless asked otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """What is varied. An axis that is left open keeps the audit's own option."""

    tuners: tuple[str, ...] = ()
    """Ways of tuning: full, lora:RANK."""
    align_mixes: tuple[int, ...] = ()
    """Percent of opposite examples in the alignment."""
    reverse_mixes: tuple[int, ...] = ()
    """Percent of wanted examples in the reversal; 50 is a benign one."""
    reversals: tuple[str, ...] = ()
    """Data to reverse on: `same` (the opposite answers), or files of other examples."""
    methods: tuple[str, ...] = ()
    """Ways of reversing, as in --reversal-method; the others are compared with the first."""
    tolerance: float = TOLERANCE
    """ε of definition 3.6: a model has returned when KL(start‖θ) is at most this, in bit/token."""
    pretraining_tokens: tuple[float, ...] = ()
    """Tokens each model was pretrained on, in the order of the models: k beside R, and an axis of scale."""

    def __post_init__(self) -> None:
        if not self.tolerance > 0:
            raise _refused("tolerance", f"must be greater than 0, got {self.tolerance}", "--tolerance 0.01")
        for name in ("tuners", "align_mixes", "reverse_mixes", "reversals", "methods"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise _refused(name, f"names something twice: {values}", "name each once")
        for tuner in self.tuners:
            tuner_of(tuner)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One combination: an audit of its own, in a directory of its own."""

    name: str
    varied: dict[str, Any]
    """What of it differs between the sweeps of this run."""
    audit: Audit
    pretraining_tokens: float | None


def sweeps(models: tuple[str, ...], axes: Axes, audit: Audit) -> tuple[Sweep, ...]:
    """Every combination, models slowest; the first one is what the others are compared with."""
    known = axes.pretraining_tokens
    if known and len(known) != len(models):
        raise _refused(
            "pretraining-tokens", f"needs one number for each of {len(models)} models, got {len(known)}", "give all"
        )
    tokens = dict(zip(models, known, strict=False))
    options = {name: values for name, values in _options(models, axes, audit).items() if len(values) > 1}
    found = []
    for chosen in _combinations(_options(models, axes, audit)):
        varied = {name: value for name, value in chosen.items() if name in options}
        found.append(Sweep(_name(len(found), varied), varied, _audit(audit, chosen), tokens.get(chosen["model"])))
    return tuple(found)


def tuner_of(text: str) -> tuple[str, int]:
    """`full` → ("full", 8), `lora:16` → ("lora", 16); RefusedError for anything else."""
    name, colon, rank = text.partition(":")
    if text == "full":
        return "full", RANK
    if name == "lora" and (not colon or (rank.isdecimal() and int(rank) > 0)):
        return "lora", int(rank or RANK)
    raise _refused("tuners", f"knows full and lora:RANK, not {text}", "--tuners full,lora:8")


def asked(models: tuple[str, ...], axes: Axes, audit: Audit) -> dict[str, Any]:
    """Everything that decides a run, as `run.json` holds it."""
    return {"models": models, **asdict(axes), "audit": asdict(audit)}


def _options(models: tuple[str, ...], axes: Axes, audit: Audit) -> dict[str, tuple[Any, ...]]:
    own = "full" if audit.tuner == "full" else f"lora:{audit.rank}"
    return {
        "model": models,
        "tuner": axes.tuners or (own,),
        "align_mix": axes.align_mixes or (audit.align_mix,),
        "reverse_mix": axes.reverse_mixes or (audit.reverse_mix,),
        "reversal_data": axes.reversals or (audit.reversal_data or SAME,),
        "reversal_method": axes.methods or (audit.reversal_method,),
    }


def _combinations(options: dict[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for values in product(*options.values()):
        yield dict(zip(options, values, strict=True))


def _audit(audit: Audit, chosen: dict[str, Any]) -> Audit:
    tuner, rank = tuner_of(chosen["tuner"])
    data = None if chosen["reversal_data"] == SAME else chosen["reversal_data"]
    return replace(audit, **{**chosen, "tuner": tuner, "rank": rank, "reversal_data": data})


def _name(index: int, varied: dict[str, Any]) -> str:
    """A directory's name: the place in the run, and what varies."""
    words = [f"{name.removeprefix('reversal_')}-{value}" for name, value in varied.items()]
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(words)).strip("-.")
    return f"{index:02}-{slug}"[:80].rstrip("-.") if slug else f"{index:02}"


def _refused(name: str, message: str, do: str) -> RefusedError:
    option = f"--{name.replace('_', '-')}"
    return RefusedError(f"{option} {message}", kind="option", where=option, next=do)

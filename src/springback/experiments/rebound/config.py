"""What a rebound run is asked: axes over the options of an audit, each combination one sweep. Torch-free."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from typing import Any

from springback.errors import refused
from springback.experiments.audit.config import Audit
from springback.store.options import rejoined

SAME = "same"
TOLERANCE = 0.01
RANK = Audit().rank

OWN = {"tuners": ("tuner", "rank"), "align_mixes": ("align_mix",), "reverse_mixes": ("reverse_mix",),
       "reversals": ("reversal_data",), "align_methods": ("align_with",), "methods": ("reverse_with",)}  # fmt: skip
"""Of each axis, the audit's own options that it takes the place of."""

WAYS = ("align_with", "reverse_with")
"""Options of an audit that say how its chains tune."""

CALLED = {"reversal_data": "data", "align_with": "aligned-by", "reverse_with": "method"}
"""Options as the names of directories say them."""

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
    align_methods: tuple[str, ...] = ()
    """Ways of aligning, as in --align-with (plain,dpo:beta=0.1,simpo): which of them springs back least?"""
    methods: tuple[str, ...] = ()
    """Ways of reversing, as in --reverse-with (plain,replay:share=0.5); the others are compared with the first."""
    tolerance: float = TOLERANCE
    """ε of definition 3.6: a model has returned when KL(start‖θ) is at most this, in bit/token."""
    pretraining_tokens: tuple[float, ...] = ()
    """Tokens each model was pretrained on, in the order of the models: k beside R, and an axis of scale."""

    def __post_init__(self) -> None:
        for name in ("align_methods", "methods"):
            object.__setattr__(self, name, rejoined(getattr(self, name)))
        if not 0 < self.tolerance < math.inf:
            raise refused("tolerance", f"must be greater than 0, got {self.tolerance}", "--tolerance 0.01")
        for name, values in self.given().items():
            meant = [tuner_of(value) for value in values] if name == "tuners" else values
            _once(name, meant, values)
        for name in ("align_mixes", "reverse_mixes"):
            if wrong := [percent for percent in getattr(self, name) if not 0 <= percent <= 100]:
                raise refused(name, f"are percentages, got {wrong[0]}", "give numbers from 0 to 100")
        if wrong := [tokens for tokens in self.pretraining_tokens if not 0 < tokens < math.inf]:
            raise refused("pretraining-tokens", f"must be greater than 0, got {wrong[0]}", "count the tokens")

    def given(self) -> dict[str, tuple[Any, ...]]:
        """Every axis of labels, data and ways of tuning, empty where it was left open."""
        return {name: getattr(self, name) for name in OWN}


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
    _unambiguous(models, axes, audit)
    known = axes.pretraining_tokens
    if known and len(known) != len(models):
        raise refused(
            "pretraining-tokens", f"needs one number for each of {len(models)} models, got {len(known)}", "give all"
        )
    tokens = dict(zip(models, known, strict=False))
    options = _options(models, axes, audit)
    found = []
    for chosen in _combinations(options):
        varied = {name: value for name, value in chosen.items() if len(options[name]) > 1}
        found.append(Sweep(_name(len(found), varied), varied, _audit(audit, chosen), tokens.get(chosen["model"])))
    return tuple(found)


def tuner_of(text: str) -> tuple[str, int]:
    """`full` → ("full", 8), `lora:16` → ("lora", 16); RefusedError for anything else."""
    name, colon, rank = text.partition(":")
    if text == "full":
        return "full", RANK
    if name == "lora" and (not colon or (rank.isdecimal() and int(rank) > 0)):
        return "lora", int(rank or RANK)
    raise refused("tuners", f"knows full and lora:RANK, not {text}", "--tuners full,lora:8")


def asked(models: tuple[str, ...], axes: Axes, audit: Audit) -> dict[str, Any]:
    """Everything that decides a run, as `run.json` holds it."""
    return {"models": models, **asdict(axes), "audit": asdict(replace(audit, model=models[0]))}


def default(name: str) -> Any:
    """What an option of an audit is where nobody gave it."""
    return next(field.default for field in fields(Audit) if field.name == name)


def _unambiguous(models: tuple[str, ...], axes: Axes, audit: Audit) -> None:
    """Refuse what would be left out unsaid: an axis beside the option that it replaces, a model given twice."""
    _once("models", models, models)
    for axis, values in axes.given().items():
        for option in OWN[axis] if values else ():
            if getattr(audit, option) != default(option):
                raise refused(axis, f"and --{option.replace('_', '-')} were both given", "give one of the two")


def _options(models: tuple[str, ...], axes: Axes, audit: Audit) -> dict[str, tuple[Any, ...]]:
    own = "full" if audit.tuner == "full" else f"lora:{audit.rank}"
    return {
        "model": models,
        "tuner": axes.tuners or (own,),
        "align_mix": axes.align_mixes or (audit.align_mix,),
        "reverse_mix": axes.reverse_mixes or (audit.reverse_mix,),
        "reversal_data": axes.reversals or (audit.reversal_data or SAME,),
        "align_with": axes.align_methods or (audit.align_with,),
        "reverse_with": axes.methods or (audit.reverse_with,),
    }


def _combinations(options: dict[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for values in product(*options.values()):
        yield dict(zip(options, values, strict=True))


def _audit(audit: Audit, chosen: dict[str, Any]) -> Audit:
    tuner, rank = tuner_of(chosen["tuner"])
    data = None if chosen["reversal_data"] == SAME else chosen["reversal_data"]
    return replace(audit, **{**chosen, "tuner": tuner, "rank": rank, "reversal_data": data})


def _once(name: str, meant: Sequence[Any], values: Sequence[Any]) -> None:
    if len(set(meant)) < len(meant):
        raise refused(name, f"names something twice: {', '.join(map(str, values))}", "name each once")


def _name(index: int, varied: dict[str, Any]) -> str:
    """A directory's name: the place in the run, and what varies."""
    words = [f"{CALLED.get(name, name)}-{value}" for name, value in varied.items()]
    slug = re.sub(r"(?:[^A-Za-z0-9.]|\.(?![A-Za-z0-9]))+", "-", "-".join(words)).strip("-.")
    return f"{index:02}-{slug}"[:80].rstrip("-.") if slug else f"{index:02}"

"""What `springback entangle` is asked. Torch-free, so `--help` is quick."""

from dataclasses import dataclass, fields, replace
from math import inf
from typing import Literal

from springback.errors import RefusedError
from springback.experiments.audit.config import EMBEDDED, Audit
from springback.experiments.entangle.rules import rule_named

TINY = "tiny"
RATES = {"sgd": (1e-6, 1e-5, 1e-4), "adamw": (1e-8, 1e-7, 1e-6)}
"""Learning rates of `--verify` where none are given: AdamW moves every weight by about the rate itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entangle:
    """One diagnosis. Field docstrings are the help of the command line."""

    model: str = EMBEDDED
    """The policy: a directory, a hub id (`org/name@revision`) or an alias."""
    reference: str | None = None
    """The reference model of the loss (default: MODEL itself, so the diagnosis is of the first step)."""
    loss: str = "dpo"
    """A loss of the family (`springback losses`), `name:option=value`, FILE.py with loss(…), or module:function."""
    pairs: int | None = None
    """Only the first N pairs (default: all)."""
    max_length: int | None = None
    """Most tokens of prompt and answer together (default: what the model reads); nothing is cut."""
    too_long: Literal["refuse", "drop"] = "refuse"
    """A row with more tokens is refused, or left out and counted."""
    batch: int = 8
    """Pairs of an optimiser step: what a pair is carried along by. The last batch may be smaller."""
    seed: int = 0
    """Order of the pairs in batches; 0 keeps the order of the file."""
    tuner: Literal["full", "lora"] = "full"
    """Which weights a step would move: all, or a fresh LoRA (extra `peft`); inner products are over these."""
    rank: int = 8
    """Rank of LoRA; without effect on full tuning, and refused there when changed."""
    metric: Literal["euclidean", "adam"] = "euclidean"
    """Inner product of all numbers: plain descent's, or that of AdamW's step on the pair's batch, without momentum."""
    moments: str | None = None
    """Checkpoint whose second moments make Adam's metric (RUN/checkpoints/last); default: estimated on these pairs."""
    moment_batches: int = 4
    """Batches, from the first on, that the second moments are estimated on; 0: fresh ones, so of a first step."""
    shown: int = 8
    """Worst and best pairs whose tokens are read one by one (as many of each)."""
    matrix: int = 0
    """Worst pairs of which the whole chosen × rejected token matrix is stored; one backward pass a token."""
    probes: int = 16
    """Pairs, from the first on, for which the greedy and an unrelated answer are followed too; 0 for none."""
    probe_tokens: int = 32
    """Length of the greedy answer, in tokens."""
    verify: bool = False
    """Take real steps, each from the same weights, and compare what was predicted with what is measured."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """What takes the steps of --verify; AdamW from a fresh state."""
    lr: tuple[float, ...] = ()
    """Learning rates of --verify (default: 1e-6,1e-5,1e-4 for sgd, 1e-8,1e-7,1e-6 for adamw)."""
    clip: float | None = None
    """Largest gradient norm of a step of --verify (default: none)."""
    weight_decay: float = 0.0
    """Decoupled weight decay of a step of --verify."""
    verify_batches: int = 4
    """Batches that --verify steps on, from the first on; each is measured on itself and on the next one."""
    filter: str | None = None
    """Write the rows that pass --rule to this JSON Lines file, and those that do not to FILE.ledger.jsonl."""
    rule: str = "condition"
    """What passes: condition, chosen_rises, rejected_falls, or a bound such as cosine<0.8, relative<1, ches<p80."""
    method: Literal["auto", "ghost", "plain"] = "auto"
    """How inner products are made: auto is ghost where the network's modules are known, else two backwards a pair."""
    dtype: Literal["auto", "float32", "float64"] = "auto"
    """Compute type; auto is float32. Half precision is too coarse for inner products."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Off unless asked for."""
    tiny: bool = False
    """A random model of 1 MB, no downloads: shows the pipeline, the figures mean nothing."""

    @property
    def rates(self) -> tuple[float, ...]:
        """Learning rates of `--verify`, smallest first."""
        return tuple(sorted(self.lr or RATES[self.optimizer]))

    def audit(self) -> Audit:
        """The part of it that finding and fetching a model look at."""
        return Audit(model=self.model, dtype="float32", device=self.device, tiny=self.tiny,
                     trust_remote_code=self.trust_remote_code, tuner=self.tuner, rank=self.rank)  # fmt: skip


def settled(asked: Entangle) -> Entangle:
    """The options, checked; `--model tiny` is `--tiny`. RefusedError names the option that cannot hold."""
    if asked.model == TINY:
        asked = replace(asked, model=EMBEDDED, tiny=True)
    rule_named(asked.rule)
    _least(asked)
    _ignored(asked)
    return replace(asked, lr=asked.rates if asked.verify else ())


def _least(asked: Entangle) -> None:
    least = {"batch": 1, "pairs": 1, "max_length": 1, "shown": 0, "matrix": 0, "probes": 0, "probe_tokens": 1,
             "verify_batches": 1, "rank": 1, "seed": 0, "moment_batches": 0}  # fmt: skip
    for name, bound in least.items():
        given = getattr(asked, name)
        if given is not None and given < bound:
            _refuse(f"{_option(name)} must be at least {bound}, got {given}", name)
    if any(not 0 < rate < inf for rate in asked.lr) or len(set(asked.lr)) < len(asked.lr):
        _refuse(f"learning rates are distinct and above 0, got {asked.lr}", "lr")
    if asked.clip is not None and not 0 < asked.clip < inf:
        _refuse(f"clip is a number above 0, got {asked.clip}", "clip")
    if not 0 <= asked.weight_decay < inf:
        _refuse(f"weight decay is a number of at least 0, got {asked.weight_decay}", "weight_decay")


def _ignored(asked: Entangle) -> None:
    """A setting that would be without effect is refused, not dropped."""
    fresh = {field.name: field.default for field in fields(Entangle)}
    needs = {
        "verify": ("optimizer", "lr", "clip", "weight_decay", "verify_batches"),
        "filter": ("rule",),
        "probes": ("probe_tokens",),
    }
    for switch, names in needs.items():
        changed = [name for name in names if getattr(asked, name) != fresh[name]]
        if changed and not getattr(asked, switch):
            _refuse(f"{_option(changed[0])} has no effect without {_option(switch)}", changed[0])
    if asked.metric == "euclidean" and (asked.moments is not None or asked.moment_batches != fresh["moment_batches"]):
        _refuse("second moments have no effect on the Euclidean inner product: add --metric adam", "moments")
    if asked.moments is not None and asked.moment_batches != fresh["moment_batches"]:
        _refuse("--moment-batches has no effect beside --moments", "moment_batches")
    if asked.tuner == "full" and asked.rank != fresh["rank"]:
        _refuse("--rank has no effect on full tuning", "rank")
    if asked.tiny and (asked.model != EMBEDDED or asked.reference is not None):
        _refuse("--tiny is a model of its own", "tiny")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _refuse(message: str, name: str) -> None:
    raise RefusedError(message, kind="option", where=_option(name), next=f"Change or leave out {_option(name)}.")

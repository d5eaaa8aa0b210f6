"""`--reward` and `--watch` by what they name.

FILE.py, module:function    reward(completions) -> one number each
program:COMMAND             JSON lines in, numbers out
http://127.0.0.1:PORT/…     POST {"completions": […]}
scorer:NAME                 a scorer of texts: lexicon, FILE.py with score(texts), module:function
DIRECTORY                   a reward model (`springback reward` makes one)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from springback.experiments.rlhf.rewards.checked import Reward, Source
from springback.experiments.rlhf.rewards.endpoint import Endpoint
from springback.experiments.rlhf.rewards.program import Program
from springback.models.rollout import Completion
from springback.store import user_code

OTHER = "program:COMMAND, an http address, scorer:NAME, a reward model's directory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How rewards are asked for."""

    timeout: float
    """Seconds a batch, of a program or an endpoint."""
    remote: bool
    """Whether an endpoint may be on another machine."""
    device: str
    """Where a reward model computes."""


def reward_named(named: str, terms: Terms, *, option: str = "--reward") -> Reward:
    """The reward that an option names, checked. RefusedError where there is none; a user's module is executed."""
    return Reward(named, _source(named, terms, option), option)


def _source(named: str, terms: Terms, option: str) -> Source:
    kind, _, rest = named.partition(":")
    if kind in ("http", "https"):
        return Endpoint(named, terms.timeout, terms.remote)
    if kind == "program":
        return Program(rest, terms.timeout)
    if kind == "scorer":
        return _scorer(rest)
    if (Path(named) / "config.json").is_file():
        from springback.experiments.rlhf.rewards.folder import folder

        return folder(Path(named), terms.device)
    return user_code.function(named, attribute="reward", option=option, kind="reward", other=OTHER)


def _scorer(named: str) -> Callable[[Sequence[Completion]], Any]:
    from springback.judge.choose import choose

    scorer = choose(named, fit=(), held_out=())
    return lambda completions: scorer([one.text for one in completions])

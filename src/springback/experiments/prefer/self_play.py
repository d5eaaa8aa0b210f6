"""Self-play fine-tuning (SPIN, Chen et al., 2024): in every round the rejected answers are the model's own.

    round t:   y' ~ π_t(·|x),   π_{t+1} = argmin E ℓ(β [log π(y|x)/π_t(y|x) − log π(y'|x)/π_t(y'|x)])

With ℓ the logistic loss it is DPO whose chosen answer is the file's, whose rejected answer the model wrote at the
round's start, and whose reference is that start; `--loss` may be any loss of pairs. Each round is a run of its own
inside this one (`round-1`, `round-2` …), so each resumes, has a page and can be looked at alone.

Not guaranteed, and what it needs: answers worth imitating to every prompt, since the model is told that they are better
than *whatever* it writes, also where they are not. It stands still where π_t is the distribution of the data (an answer
of its own that is the file's makes no pair; where all are, the rounds end), and can go no further than the data.

Departures: 1. The released code trains on the answers of the last two rounds together; the paper's Algorithm 1 and this
on those of one. 2. An answer that ran into --max-new-tokens is kept and ended by the template; it is counted.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from springback.data.choices import Choice
from springback.errors import refused
from springback.experiments.audit.run import announce
from springback.experiments.prefer import facts
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.finish import MODEL
from springback.experiments.prefer.preparing import Prepared, prepare
from springback.experiments.prefer.run import run_prefer
from springback.experiments.prefer.sources import identity
from springback.experiments.running import Finished, carried_out, say
from springback.store import provenance
from springback.store.run import Run, default_dir, require_free
from springback.store.sealed import write_whole

FILES = ("training", "held_out")
FEWEST = {"training": 1, "held_out": 2}
"""Pairs of a round below which there is nothing to train or to measure on."""


def run_self_play(design: Design, out: Path | None, *, quiet: bool = False) -> Finished:
    """All rounds, or what is left of them.

    Raises:
        RefusedError: as `run_prefer` does, and where a loss or option has no use here.
    """
    asked = asdict(design)
    path = out or default_dir("prefer", asked)
    require_free(path)
    announce(design.audit(), (lambda _: None) if quiet else say)
    prepared = prepare(design)
    _require(prepared)
    known = identity(design, prepared.sources)
    work = lambda run: _played(run, prepared, quiet=quiet)
    about = provenance.about(device=design.device)
    return carried_out(path, work, command="prefer", asked=asked, identity=known, about=about)


def folder(number: int) -> str:
    """Name of a round's run, from 1."""
    return f"round-{number}"


def _require(prepared: Prepared) -> None:
    design = prepared.design
    if not all(isinstance(row, Choice) for row in (*prepared.sources.train, *prepared.sources.held_out)):
        raise refused("loss", f"{design.loss} takes no pairs, and self-play makes pairs", "take a loss of pairs")
    for name in ("reference", "reference_logprobs"):
        if getattr(design, name) is not None:
            raise refused(name, "has no use in self-play: the reference is each round's own start")


def _played(run: Run, prepared: Prepared, *, quiet: bool) -> Mapping[str, int]:
    design, work = prepared.design, dict[str, int]()
    if "papers" not in run.meta:
        run.note(papers=["chen2024spin", *facts.papers(prepared)])
    sides = {"training": _choices(prepared.sources.train), "held_out": _choices(prepared.sources.held_out)}
    for number in range(1, design.self_play + 1):
        body = run.get("round", str(number)) or _written(run, design, sides, number)
        if body["over"]:
            break
        done = run_prefer(_of_round(run, design, number), run.path / folder(number), quiet=quiet)
        work = {name: work.get(name, 0) + count for name, count in done.work_done.items()}
        done.run.close()
        design = replace(design, model=str(run.path / folder(number) / MODEL), tiny=False)
    return work


def _written(run: Run, design: Design, sides: Mapping[str, Sequence[Choice]], number: int) -> Mapping[str, Any]:
    """Write the round's two files; the body of its record, which is stored when they lie there."""
    from springback.experiments.prefer.own_answers import Writer

    writer, first = Writer(design), 0
    body: dict[str, Any] = {"round": number, "run": folder(number)}
    for name, rows in sides.items():
        own = writer(rows, round=number, first=first)
        first += len(rows)
        write_whole(_file(run, number, name), "".join(map(_line, own.pairs)).encode())
        body[name] = {"prompts": len(rows), "pairs": len(own.pairs), "same": own.same, "unusable": own.unusable,
                      "cut_off": own.cut_off}  # fmt: skip
    body["over"] = _over(body)
    run.append("round", str(number), body)
    return body


def _over(body: Mapping[str, Any]) -> str | None:
    """Why the rounds end here; None where there is something to learn."""
    short = [name for name in FILES if body[name]["pairs"] < FEWEST[name]]
    return None if not short else (
        f"{body[short[0]]['pairs']} of {body[short[0]]['prompts']} {short[0].replace('_', '-')} answers of the model's "
        "own differ from the file's: nothing is left to learn"
    )  # fmt: skip


def _of_round(run: Run, design: Design, number: int) -> Design:
    training, held_out = (str(_file(run, number, name)) for name in FILES)
    return replace(design, data=training, held_out=held_out, self_play=0)


def _file(run: Run, number: int, name: str) -> Path:
    made = run.path / "files"
    made.mkdir(exist_ok=True)
    return made / f"{name}-{number}.jsonl"


def _choices(rows: Sequence[Any]) -> list[Choice]:
    return [row for row in rows if isinstance(row, Choice)]


def _line(one: Choice) -> str:
    row = {"prompt": [asdict(turn) for turn in one.prompt], "chosen": one.chosen, "rejected": one.rejected}
    return json.dumps(row, ensure_ascii=False) + "\n"

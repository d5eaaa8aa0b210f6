"""The first stage: the model is tuned on the chosen answers of the training side, once, in their order.

Its own small run: steps as records, held-out loss before and after, the model in Hugging Face format. It is short, so
an interrupted one begins again; the same steps give the same bits.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from springback.data.records import Example
from springback.experiments.audit.workbench import encoded
from springback.experiments.rlhf.config import Design
from springback.experiments.rlhf.outcome import MODEL
from springback.experiments.rlhf.policy import policy
from springback.experiments.running import Finished, carried_out
from springback.models.rows import Row
from springback.models.score import token_logprobs
from springback.stats.measured import Measured, mean, ratio_of_sums
from springback.store import provenance
from springback.store.run import Run
from springback.train.recipe import SFT
from springback.train.sft import tune

BATCH = 8
RATES = {False: {"full": 2e-5, "lora": 2e-4}, True: {"full": 1e-3, "lora": 1e-3}}
"""AdamW's rate by --tiny and tuner."""
NOTHING_DONE: Mapping[str, int] = {"optimizer_steps": 0, "tokens_trained": 0}


def run_imitation(
    path: Path, design: Design, training: Sequence[Example], held_out: Sequence[Example], known: Mapping[str, Any]
) -> Finished:
    """Tune on the training examples and save; or find that it is done. `known`: what a stored run must agree with."""
    recipe = SFT(lr=RATES[design.tiny][design.tuner], batch=min(BATCH, len(training)))
    asked = {"model": design.model, "tiny": design.tiny, "tuner": design.tuner, "rank": design.rank, "lr": recipe.lr,
             "batch": recipe.batch, "dtype": design.dtype}  # fmt: skip
    done = Run.finished(path, command="sft", asked=asked, identity=known)
    if done is not None and (path / MODEL / "config.json").is_file():
        return Finished(done, NOTHING_DONE)
    work = lambda run: _tuned(run, design, recipe, training, held_out)
    about = provenance.about(device=design.device)
    return carried_out(path, work, command="sft", asked=asked, identity=known, about=about)


def _tuned(
    run: Run, design: Design, recipe: SFT, training: Sequence[Example], held_out: Sequence[Example]
) -> Mapping[str, int]:
    trained = policy(design, run.path / "checkpoints" / "latest", values=False)
    rows, other = encoded(trained.model, training), encoded(trained.model, held_out)
    whole = len(rows) - len(rows) % recipe.batch
    before = _bits(trained.network, other)
    steps = list(tune(trained.network, trained.optimizer, rows[:whole], recipe))
    after = _bits(trained.network, other)
    trained.write(run.path / MODEL)
    with run.together():
        if run.get("held_out", "held_out") is None:
            for step in steps:
                body = {
                    "step": step.index,
                    "loss": step.loss,
                    "gradient_norm": step.gradient_norm,
                    "tokens": step.tokens,
                }
                run.append("step", str(step.index), body)
            run.append("held_out", "held_out", _difference(before, after, other))
            counts = {"rows": len(rows), "trained": whole, "left_over": len(rows) - whole, "steps": len(steps)}
            run.append("accounting", "accounting", counts)
    return {"optimizer_steps": len(steps), "tokens_trained": sum(step.tokens for step in steps)}


def _bits(network: nn.Module, rows: Sequence[Row]) -> list[float]:
    with torch.no_grad():
        return [-float(one.sum()) for one in token_logprobs(network, rows)]


def _difference(before: Sequence[float], after: Sequence[float], rows: Sequence[Row]) -> dict[str, Any]:
    """−log p of the held-out chosen answers, nats a token, and the change of it, paired by answer."""
    tokens = [float(len(row.answer)) for row in rows]
    apart = [two - one for one, two in zip(before, after, strict=True)]
    told: dict[str, Measured] = {
        "before": ratio_of_sums(list(before), tokens, over="documents", unit="nat/token"),
        "after": ratio_of_sums(list(after), tokens, over="documents", unit="nat/token"),
        "difference": mean(apart, over="documents", unit="nat/answer"),
    }
    return {"loss": {name: value.json() for name, value in told.items()}}

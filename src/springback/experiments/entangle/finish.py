"""From stored pairs and steps to shares, layers, scores, losses and the answer: once, when all is stored."""

from collections.abc import Mapping
from typing import Any

from springback.experiments.entangle import family, shares, verdicts
from springback.experiments.entangle.config import Entangle
from springback.experiments.entangle.pulls import Asked
from springback.store.run import Run


def finish(config: Entangle, run: Run, asked: Asked) -> None:
    """Store what follows; nothing where it is stored already."""
    if run.get("verdict", "verdict") is not None:
        return
    pairs = sorted(run.read("pair").values(), key=lambda body: body["index"])
    steps, probes = list(run.read("step").values()), list(run.read("probe").values())
    batches = [body["pairs"] for body in run.read("batch").values()]
    found, scores = shares.shares(pairs), shares.scored(pairs, verdicts.measured_chosen(steps))
    table = list(family.cured(asked.named, pairs))
    losses = list(family.losses(pairs, batches))
    verify = verdicts.verified(steps, config.optimizer, config.metric) if steps else None
    with run.together():
        run.append("shares", "shares", found)
        for part in ("layers", "kinds"):
            run.append("where", part, {"places": shares.where(pairs, part)})
        for name, row in scores.items():
            run.append("score", name, row)
        for number, (name, row) in enumerate(table):
            run.append("cure", name, {"name": name, "order": number, **row})
        for number, (name, row) in enumerate(losses):
            run.append("loss", name, {"name": name, "order": number, **row})
        if probes:
            run.append("probed", "probed", shares.probed(probes))
        if verify is not None:
            run.append("verify", "verify", verify)
        run.append("verdict", "verdict", {"sentence": sentence(found), "lead": lead(found, verify)})


def sentence(found: Mapping[str, Any]) -> str:
    """The answer in one sentence."""
    if found["n"] == 0:
        return "No pair can move: all answers are the same tokens."
    falls, rises = _count(found["chosen_falls"]), _count(found["rejected_rises"])
    pairs = f"{found['n']} pair{'s' * (found['n'] != 1)}"
    return f"Of {pairs}, {falls} will lower the chosen answer and {rises} will raise the rejected one."


def lead(found: Mapping[str, Any], verify: Mapping[str, Any] | None) -> str:
    """What stands beside the answer: the whole batch, and whether it came true."""
    if found["n"] == 0:
        return ""
    batch = found["in_batch"]
    text = (
        f"That is a step on each pair alone. A step on whole batches lowers the chosen answer of "
        f"{_count(batch['chosen_falls'])} and raises the rejected one of {_count(batch['rejected_rises'])}."
    )
    return text if verify is None else f"{text} {_came_true(verify)}"


def _came_true(verify: Mapping[str, Any]) -> str:
    law = verify["law"]
    agreement = law["sign_agreement"]
    if agreement["estimate"] is None:
        return f"The steps taken say nothing: {agreement['why']}."
    share = f"{100 * agreement['estimate']:.0f}\u00a0% of the signs at the rate {law['rate']:g}"
    words = {
        "holds": "The prediction held",
        "fails": "The prediction failed",
        "undecided": "Cannot tell whether the prediction holds",
    }
    return f"{words[law['outcome']]}: it had {share} ({100 * law['threshold']:.0f}\u00a0% asked)."


def _count(share: Mapping[str, Any]) -> int:
    return round((share["estimate"] or 0.0) * share.get("n", 0))

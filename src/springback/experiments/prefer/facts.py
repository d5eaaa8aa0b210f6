"""What `run.json` and the first records say of a training: papers, model, loss, data. Torch-free."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from springback.experiments.audit.config import EMBEDDED
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.preparing import Prepared
from springback.experiments.prefer.sources import Sources
from springback.store.run import Run


def store_data(run: Run, sources: Sources, ledgers: Iterable[Any]) -> None:
    """The data and what became of its rows, once."""
    if run.get("data", "train") is not None:
        return
    with run.together():
        run.append("data", "train", sources.data.json())
        if sources.held is not None:
            run.append("data", "held_out", sources.held.json())
        for number, ledger in enumerate(ledgers):
            run.append("ledger", str(number), ledger.json())


def papers(prepared: Prepared) -> list[str]:
    """Keys of the methods that the run uses."""
    design, paper = prepared.design, getattr(prepared.method, "paper", None)
    used = [*([paper.key] if paper else []), "loshchilov2019adamw", "hesterberg2015"]
    used += [prepared.cure.paper.key] if prepared.cure is not None else []
    used += [_of_filter(design.filter)] if design.filter is not None else []
    used += ["hu2022lora"] if design.tuner == "lora" else []
    used += [prepared.sources.data.paper] if prepared.sources.data.paper else []
    used += ["allal2025smollm2"] if design.model == EMBEDDED and not design.tiny else []
    return list(dict.fromkeys(used))


def model(ready: Any, design: Design) -> dict[str, Any]:
    """The model and its reference."""
    told = ("name", "origin", "weights_sha256", "template_sha256", "licence", "context", "notes")
    found = {name: getattr(ready.model, name) for name in told} | {"tuner": design.tuner}
    other = ready.second
    return found | {"reference": None if other is None else {name: getattr(other, name) for name in told}}


def loss(prepared: Prepared) -> dict[str, Any]:
    """The loss with its options."""
    from springback.train.preference_step import needs_of

    method = prepared.method
    plain = {each.name: getattr(method, each.name) for each in fields(method)}
    options = {name: value for name, value in plain.items() if isinstance(value, bool | int | float | str)}
    return {"asked": prepared.design.loss, "method": type(method).__name__, "options": options,
            "needs": sorted(needs_of(method))}  # fmt: skip


def _of_filter(text: str) -> str:
    return "razin2024ches" if text.startswith("ches") else "yuan2024entanglement"

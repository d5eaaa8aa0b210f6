"""When the last step is taken: the model in the run's directory, and what became of everything. Torch inside."""

from pathlib import Path
from typing import Any, Final

from springback.experiments.prefer.config import Design
from springback.experiments.prefer.sources import Sources
from springback.experiments.prefer.words import verdict
from springback.store.run import Run

MODEL: Final = "model"
"""Name of the trained model's folder."""
BASE: Final = "base"
"""Name of the tiny model's folder below its adapter, which nothing else could find."""


def finish(run: Run, design: Design, sources: Sources, lab: Any) -> None:
    """Save the model and store the accounting; nothing where they are stored already."""
    if run.get("accounting", "accounting") is not None:
        return
    saved(run, design, lab, run.path / MODEL)
    with run.together():
        run.append("verdict", "verdict", verdict(run.get("reading", f"held_out/{lab.total}") or {}))
        run.append("accounting", "accounting", accounting(run, design, sources, lab))


def saved(run: Run, design: Design, lab: Any, folder: Path) -> None:
    """The model in Hugging Face format; of LoRA the adapter."""
    from springback.models.saved_folder import save_adapter, save_model
    from springback.models.tiny import save_folder, tiny

    model = lab.bench.model
    if design.tuner == "full":
        save_model(model, folder)
        return
    base = design.model if _on_hub(design.model) else str(model.path and model.path.resolve())
    if model.path is None:
        base = str(save_folder(tiny(), run.path / BASE).resolve())
    save_adapter(model, folder, base=base)


def save_failed(run: Run, design: Design, lab: Any, error: Any) -> Path:
    """After a step that was not finite: the weights before it, and a record that says so."""
    folder = run.path / f"model_before_step_{error.index}"
    saved(run, design, lab, folder)
    if run.get("failure", str(error.index)) is None:
        run.append("failure", str(error.index), {"step": error.index, "why": str(error), "model": folder.name})
    return folder


def accounting(run: Run, design: Design, sources: Sources, lab: Any) -> dict[str, Any]:
    """Rows, steps and tokens, and which checks held."""
    steps = list(run.read("step").values())
    trained = sum(body["examples"] for body in steps)
    rows = len(lab.bench.train)
    return {
        "ledgers": list(run.read("ledger").values()),
        "rows": {"train": rows, "held_out": len(lab.bench.held_out), "truncated": 0},
        "read": {found.name: {"chosen": len(found.chosen), "rejected": len(found.rejected),
                              "probes": len(found.greedy)} for found in lab.sets},
        "steps": {"planned": lab.total, "done": len(steps)},
        "examples": {"trained": trained, "epochs": trained / rows, "last_batch": steps[-1]["examples"]},
        "tokens": {"supervised": sum(body["tokens"] for body in steps)},
        "reference": {"way": lab.bench.way, "file": _reference_file(run, design, lab)},
        "notes": list(sources.data.notes),
        "checks": _checks(lab.moved),
    }  # fmt: skip


def _checks(moved: Any) -> list[dict[str, str]]:
    """Small learning rates move some tensors by less than a rounding at first: told, not held against the run."""
    if moved is None or moved.steps < moved.needed:
        return []
    stuck = ", ".join(f"{one.name} ({one.why})" for one in moved.stuck[:3])
    name = "every trainable tensor moved in the first steps"
    return [{"name": name, "outcome": "pass" if moved.ok else "doubt", "why": stuck or "all moved"}]


def _reference_file(run: Run, design: Design, lab: Any) -> str | None:
    if lab.bench.way != "precomputed":
        return None
    return design.reference_logprobs or str(run.path / "reference.safetensors")


def _on_hub(spec: str) -> bool:
    """Whether a model was named by its place on the hub."""
    from springback.models.aliases import ALIASES

    return "/" in spec and spec not in ALIASES and not Path(spec).exists()

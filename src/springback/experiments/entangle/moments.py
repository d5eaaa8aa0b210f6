"""Adam's second moments from a checkpoint, for a diagnosis in its metric, and what is said of where they came from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from springback.errors import RefusedError
from springback.experiments.entangle.config import Entangle
from springback.experiments.entangle.descent import moving
from springback.fit.checkpoint import Checkpoint, Torn, load
from springback.train.entanglement.preconditioner import BETA, EPS, Moments

SECOND: Final = "second/"
"""What the names of second moments begin with in a checkpoint (`fit.masters`)."""


def told(config: Entangle, network: nn.Module, batches: int) -> dict[str, Any]:
    """The body of the `metric` record: which inner product every number of the diagnosis is in."""
    if config.metric == "euclidean":
        return {"metric": "euclidean", "sentence": "Inner products are Euclidean: plain gradient descent's."}
    about = {"metric": "adam", "beta": BETA, "eps": EPS}
    if config.moments is None:
        steps = min(config.moment_batches, batches)
        first = f"estimated on the first {steps} batch{'es' * (steps != 1)}, weights held still"
        origin = first if steps else "fresh ones"
        return {**about, "from": "estimated" if steps else "fresh", "steps": steps, "sentence": _sentence(origin)}
    steps, same = int(max(from_checkpoint(Path(config.moments), network).steps.values())), _same(config, network)
    origin = f"those of a checkpoint after {steps} steps" + ("" if same else ", whose weights are not MODEL's")
    return {**about, "from": "checkpoint", "steps": steps, "same_weights": same, "sentence": _sentence(origin)}


def from_checkpoint(path: Path, network: nn.Module) -> Moments:
    """RefusedError where it is not one of these weights' optimiser."""
    tensors = _tensors(path)
    shapes = {name: weight.shape for name, weight in moving(network).items()}
    for name, shape in shapes.items():
        if SECOND + name not in tensors or tensors[SECOND + name].shape != shape:
            raise _refused(path, f"it has no second moment of {name} in the shape {[*shape]}")
    device = next(network.parameters()).device
    second = {name: tensors[SECOND + name].to(device) for name in shapes}
    return Moments(second, {name: float(tensors[f"steps/{name}"]) for name in shapes})


def _sentence(origin: str) -> str:
    return (
        "Inner products are Adam's, ⟨x, Py⟩ with P = 1/(√v̂ + ε) of the step on the pair's own batch, whose gradient v̂ "
        f"takes in; second moments before it: {origin}. Momentum is left out."
    )


def _same(config: Entangle, network: nn.Module) -> bool:
    """Whether the checkpoint's weights are the network's, to the precision of bfloat16."""
    tensors = _tensors(Path(str(config.moments)))
    return all(
        torch.equal(tensors[f"master/{name}"].bfloat16().cpu(), weight.detach().bfloat16().cpu())
        for name, weight in moving(network).items()
    )


def _tensors(path: Path) -> Mapping[str, Tensor]:
    found = load(path)
    if isinstance(found, Torn):
        raise _refused(path, found.why)
    assert isinstance(found, Checkpoint)
    return found.tensors


def _refused(path: Path, why: str) -> RefusedError:
    return RefusedError(
        f"--moments {path}: {why}.", kind="reference", where="--moments",
        next="Give the checkpoint of a run that trained this model with this --tuner and --rank "
        "(RUN/checkpoints/last, kept by --keep-checkpoints), or leave --moments out.",
    )  # fmt: skip

"""Options of `springback prefer` that cannot hold, by themselves or together. Torch-free."""

from collections.abc import Mapping
from typing import Any

from springback.errors import refused
from springback.experiments.audit.config import EMBEDDED
from springback.experiments.prefer.filters import filter_named


def require(found: Mapping[str, Any]) -> None:
    """RefusedError names the option."""
    least = {"read_pairs": 2, "read_every": 1, "read_products": 0, "probes": 0, "epochs": 1, "steps": 1, "batch": 1,
             "accumulate": 1, "rank": 1, "max_length": 2, "max_new_tokens": 1, "samples": 1, "self_play": 0,
             "checkpoint_every": 1,
             "warmup_steps": 0}  # fmt: skip
    for name, fewest in least.items():
        if found[name] is not None and found[name] < fewest:
            raise refused(name, f"must be at least {fewest}, got {found[name]}")
    if any(step < 1 for step in found["read_at"]):
        raise refused("read_at", f"counts steps from 1, got {min(found['read_at'])}")
    if not found["learning_rate"] > 0 or not found["clip"] > 0 or found["weight_decay"] < 0:
        raise refused("learning_rate", "and --clip must be greater than 0, --weight-decay at least 0")
    if found["filter"] is not None:
        filter_named(found["filter"])
    if not found["checkpoint_seconds"] > 0:
        raise refused("checkpoint_seconds", f"must be greater than 0, got {found['checkpoint_seconds']}")
    if found["accumulate"] > found["batch"]:
        raise refused("accumulate", f"cuts a batch of {found['batch']} into more micro-batches than it has rows")
    if found["tuner"] == "full" and found["rank"] != 8:
        raise refused("rank", "has no effect on full tuning", "add --tuner lora or leave --rank out")
    if found["tiny"] and found["model"] != EMBEDDED:
        raise refused("tiny", "is a model of its own", "leave --model or --tiny out")

"""What this machine and this installation offer, for `springback doctor`."""

import os
import platform
import shutil
import socket
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psutil
import torch

from springback.experiments.traps.check import Check
from springback.models.aliases import ALIASES, DEFAULT, is_ready
from springback.models.place import offline
from springback.store.fetch import cache_dir

HUB_SECONDS: Final = 2.0
"""The hub may take this long to take a connection."""


def environment() -> dict[str, Any]:
    """Versions, device, threads, memory and disk in bytes, the cache, whether the hub answers. Draws on no model."""
    memory = psutil.virtual_memory()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "torch": torch.__version__,
        **{name: _version(name) for name in ("transformers", "safetensors", "tokenizers", "peft")},
        "device": best_device(),
        "bfloat16": bfloat16(),
        "threads": torch.get_num_threads(),
        "memory_bytes": memory.total,
        "free_memory_bytes": memory.available,
        "cache": str(cache_dir()),
        "free_disk_bytes": shutil.disk_usage(_existing(cache_dir())).free,
        "hub": hub_state(),
    }


def best_device() -> str:
    """The device that `--device auto` takes."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def bfloat16() -> str:
    """`native` where the processor multiplies bfloat16 itself, else `emulated`: right, and slow."""
    if torch.cuda.is_available():
        return "native" if torch.cuda.is_bf16_supported(including_emulation=False) else "emulated"
    known: Callable[[], bool] | None = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return "native" if known is not None and known() else "emulated"


def hub_state() -> str:
    """`offline` (told so), `reachable` or `not reachable`; never more than two seconds."""
    if offline():
        return "offline"
    address = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    try:
        with socket.create_connection((address.hostname or "", address.port or 443), timeout=HUB_SECONDS):
            return "reachable"
    except OSError:
        return "not reachable"


def check_environment(facts: dict[str, Any]) -> list[Check]:
    """What the commands need of a machine."""
    return [_cache(), _disk(facts), _embedded(), _hub(facts), _bfloat16(facts), _adapters(facts)]


def _cache() -> Check:
    place = _existing(cache_dir())
    if os.access(place, os.W_OK):
        return Check("cache_writable", "pass", f"{cache_dir()} can be written")
    return Check("cache_writable", "fail", f"{place} cannot be written; name another folder in SPRINGBACK_CACHE")


def _disk(facts: dict[str, Any]) -> Check:
    needed, free = 2 * ALIASES[DEFAULT].folder_bytes, facts["free_disk_bytes"]
    says = f"{free / 1e9:.1f} GB free, an audit of the embedded model needs about {needed / 1e9:.1f}"
    return Check("disk", "pass" if free > needed else "fail", says)


def _embedded() -> Check:
    if is_ready(ALIASES[DEFAULT]):
        return Check("embedded_model", "pass", f"{DEFAULT} is in the cache")
    return Check("embedded_model", "skip", f"not fetched: springback models pull {DEFAULT}")


def _hub(facts: dict[str, Any]) -> Check:
    if facts["hub"] == "reachable":
        return Check("hub", "pass", "the hub takes connections")
    return Check("hub", "skip", f"the hub is {facts['hub']}: folders, aliases and what is in its cache still work")


def _bfloat16(facts: dict[str, Any]) -> Check:
    if facts["bfloat16"] == "native":
        return Check("bfloat16", "pass", "multiplied by the processor itself")
    return Check("bfloat16", "skip", "emulated here: right, but slower than --dtype float32")


def _adapters(facts: dict[str, Any]) -> Check:
    if facts["peft"] is None:
        return Check("adapters", "skip", "for LoRA: pip install 'springback[peft]'")
    return Check("adapters", "pass", f"peft {facts['peft']}")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())

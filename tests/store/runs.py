"""A run to begin, and what it says when it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from springback.errors import RefusedError
from springback.store.run import Run

ASKED = {"seed": 3, "sizes": (16, 64), "model": {"name": "tiny"}}
IDENTITY = {"data": {"sha256": "ab"}, "template": "cd"}


def begin(path: Path, **changes: Any) -> Run:
    return Run.open(path, **({"command": "audit", "asked": ASKED, "identity": IDENTITY} | changes))


def refusal(act: Callable[[], object]) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        act()
    assert caught.value.next
    return caught.value


def store_together(run: Run, *cells: dict[str, dict[str, Any]]) -> None:
    with run.together():
        for cell in cells:
            for key, body in cell.items():
                run.append("cell", key, body)

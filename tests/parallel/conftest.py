import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def importable():
    """Workers are told where this process imports from; pytest finds `tests` by other means."""
    sys.path.append(str(Path(__file__).parents[2]))
    yield
    sys.path.pop()


@pytest.fixture(scope="module")
def cluster(importable):
    """A Ray cluster of this machine with two workers."""
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    from springback.parallel.ray import _ray

    _ray()  # its usage statistics are off
    ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False)
    yield ray
    ray.shutdown()

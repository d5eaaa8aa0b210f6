import subprocess
import sys

import pytest
from tests.report.example_run import Example

from springback.errors import RefusedError
from springback.report.page import write_report

REBUILD = """
import sys, pathlib
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "tokenizers", "sklearn"}:
            raise ImportError(f"{name} is behind the wall")
sys.meta_path.insert(0, Wall())
from springback.errors import RefusedError
from springback.report.page import write_report
print(write_report(pathlib.Path(sys.argv[1]))[1])
"""


def test_a_page_is_rebuilt_from_the_stored_run_without_torch_to_the_same_bytes(tmp_path):
    run = Example(sizes=(64,), reversals=(8,), samples=2, pairs=2).stored(tmp_path / "run")
    out, size = write_report(run)
    first = out.read_bytes()
    out.unlink()
    done = subprocess.run([sys.executable, "-c", REBUILD, str(run)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert int(done.stdout) == size == len(first)
    assert out.read_bytes() == first


def test_a_page_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    run = Example(sizes=(), reversals=(), samples=1, pairs=1, state="partial").stored(tmp_path / "run")
    write_report(run)
    old = (run / "report.html").read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(RefusedError, match="No space left"):
        write_report(run)
    assert (run / "report.html").read_bytes() == old
    assert not list(run.glob("*.partial"))

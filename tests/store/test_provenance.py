import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from springback import __version__
from springback.store import document, provenance

TREE = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")


def test_hashes_are_of_the_bytes_themselves(tmp_path):
    data = b"abc" * 100_000
    (tmp_path / "file").write_bytes(data)
    assert provenance.sha256_of_file(tmp_path / "file") == provenance.sha256_of_bytes(data) == sha256(data).hexdigest()
    assert provenance.sha256_of_text("한글") == sha256("한글".encode()).hexdigest()


def test_texts_that_differ_in_a_lone_surrogate_have_different_hashes():
    assert len({provenance.sha256_of_text(text) for text in ("\ud800", "\ud801", "?")}) == 3


def test_versions_are_read_without_importing_what_they_are_of():
    code = "import sys; from springback.store.provenance import about; about(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "numpy"} & set(modules)
    found = provenance.versions()
    assert found["springback"] == __version__
    assert found["python"] == sys.version.split()[0]


def test_a_package_that_is_not_there_has_no_version(monkeypatch):
    monkeypatch.setattr(provenance, "DEPENDENCIES", ("no-such-package-anywhere",))
    assert provenance.versions()["no-such-package-anywhere"] is None


def test_what_a_run_is_about_fits_into_its_description():
    found = provenance.about(device="cpu")
    assert document.loads(document.dumps(found, what="about")) == found
    assert found["device"] == "cpu"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "module.py").write_text("1")
    for words in (("init", "-q"), ("add", "module.py"), ("commit", "-q", "-m", "first")):
        subprocess.run([*TREE, *words], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def test_the_commit_is_that_of_the_tree_that_tracks_the_source(tree):
    head = subprocess.run([*TREE, "rev-parse", "HEAD"], cwd=tree, capture_output=True, text=True, check=True).stdout
    assert provenance.commit(tree / "module.py") == head.strip()
    (tree / "module.py").write_text("2")
    assert provenance.commit(tree / "module.py") == f"{head.strip()}-dirty"


def test_a_package_inside_another_projects_tree_has_no_commit(tree):
    (tree / "site-packages").mkdir()
    (tree / "site-packages" / "springback.py").write_text("1")
    assert provenance.commit(tree / "site-packages" / "springback.py") is None
    assert provenance.commit(tree / "absent" / "module.py") is None


def test_without_git_there_is_no_commit(tree, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.commit(tree / "module.py") is None

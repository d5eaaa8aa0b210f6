"""Code of the user's: which files an option names."""

from springback.store.user_code import hashes


def test_every_file_that_options_name_is_hashed_by_its_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("own.py", "reward.py"):
        (tmp_path / name).write_text(f"# {name}\n")
    before = hashes("classifier", "scorer:own.py", "grpo:group=4,reward=reward.py", None, "program:python own.py")
    assert before.keys() == {"own.py", "reward.py"}
    (tmp_path / "own.py").write_text("# another\n")
    after = hashes("own.py", "reward.py")
    assert after["own.py"] != before["own.py"]
    assert after["reward.py"] == before["reward.py"]

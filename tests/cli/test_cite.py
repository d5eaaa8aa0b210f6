import json

from springback.cli.main import app
from springback.store.run import Run


def test_a_run_is_cited_by_what_it_used(tmp_path, capfd):
    with Run.open(tmp_path / "run", command="audit", asked={}, identity={}) as run:
        run.note(papers=["ji2024elasticity", "holm1979"])
    assert app(["cite", str(tmp_path / "run"), "--json"]) == 0
    result = json.loads(capfd.readouterr().out)["result"]
    assert result["keys"] == ["ji2024elasticity", "holm1979"]
    assert app(["cite", str(tmp_path / "run")]) == 0
    assert capfd.readouterr().out.strip() == result["bibtex"].strip()
    assert result["bibtex"].count("@") == 2


def test_a_place_without_a_run_is_refused(tmp_path, capfd):
    assert app(["cite", str(tmp_path), "--json"]) == 2
    body = json.loads(capfd.readouterr().out)
    assert (body["status"], body["error"]["where"]) == ("refused", str(tmp_path))


def test_a_run_that_used_nothing_says_so(tmp_path, capfd):
    Run.open(tmp_path / "run", command="compress", asked={}, identity={}).close()
    assert app(["cite", str(tmp_path / "run"), "--json"]) == 0
    body = json.loads(capfd.readouterr().out)
    assert (body["result"], body["warnings"]) == ({"bibtex": "", "keys": []}, [f"{tmp_path / 'run'} lists no works"])

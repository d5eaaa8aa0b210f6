import json
import math
import subprocess
import sys

import pytest

from springback.cli.main import app

KEYS = {"k", "l", "depth", "masses", "overlap", "dgamma_p_dl", "dgamma_a_dl", "dgamma_t_dl", "finite_difference",
        "autograd", "c2", "c3", "l_star", "signs_hold"}  # fmt: skip


@pytest.fixture
def ask(capsys, tmp_path):
    def _ask(*words):
        code = app(["theory", *map(str, words), "--out", str(tmp_path / "run"), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return _ask


@pytest.mark.parametrize("masses", ["uniform", "pareto"])
def test_the_answer_is_the_closed_form_of_disjoint_thirds(ask, masses):
    code, said = ask("--k", "37", "--l", "0.21,3", "--depth", 9, "--masses", masses, "--overlap", "disjoint")
    assert (code, said["status"]) == (0, "done")
    for row in said["result"]["rows"]:
        assert set(row) >= KEYS
        total = 38 + row["l"]
        unit = 1 / (total * 9 * math.log(2))
        assert row["dgamma_a_dl"] == pytest.approx(unit, rel=1e-9)
        assert row["dgamma_t_dl"] == pytest.approx(unit * (1 - total / (37 / 3 + row["l"])), rel=1e-9)
        assert row["l_star"] == pytest.approx(0.5)
        assert row["signs_hold"] == (row["l"] < 0.5)
    assert {"sign", "unit"} <= set(said["result"]["convention"])
    assert said["result"]["huffman"]
    assert said["result"]["hooke"]


def test_a_similarity_between_alignment_and_reversal_flips_the_signs(ask):
    _, said = ask("--k", "50", "--l", "0.05", "--depth", 8, "--overlap", "0.25,0.75")
    for row in said["result"]["rows"]:
        share = float(row["overlap"])
        assert row["c2"] == pytest.approx(3 * share / (1 + share))
        assert row["signs_hold"] == (share < 0.5)


def test_the_table_is_printed_and_the_page_lies_in_the_run(capsys, tmp_path):
    assert app(["theory", "--k", "10", "--l", "0.05", "--depth", "5", "--out", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr().out
    assert "-9.647e-04" not in shown  # depth 5, not 12
    assert "-2.315e-03" in shown
    assert "bit per source symbol" in shown
    assert (tmp_path / "run/report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(("option", "given"), [("--k", "0"), ("--l", "-1"), ("--depth", "0"), ("--alpha", "0"),
                                               ("--overlap", "1.5"), ("--overlap", "near")])  # fmt: skip
def test_bad_input_is_refused_and_nothing_is_written(ask, tmp_path, option, given):
    code, said = ask(option, given)
    assert (code, said["error"]["where"]) == (2, option)
    assert not (tmp_path / "run").exists()


def test_the_run_can_be_cited(ask, tmp_path, capsys):
    ask("--k", "10", "--l", "0.05", "--depth", 3)
    assert app(["cite", str(tmp_path / "run")]) == 0
    assert "ji2024elasticity" in capsys.readouterr().out


def test_help_imports_neither_torch_nor_numpy():
    code = "import sys\nfrom springback.cli.main import app\napp(['theory', '--help'])\n"
    code += "sys.exit(len({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0

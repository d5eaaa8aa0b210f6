"""What the data and the way of reversing change in a tiny audit, and what they leave."""

import pytest
from tests.experiments.audit.small import records, rows, tiny, write

from springback.errors import RefusedError
from springback.experiments.audit.run import run_audit
from springback.store.run import Run


def cells(path, **options):
    run_audit(tiny(layers="none", **options), path, quiet=True)
    return {key: body for (kind, key), body in records(path).items() if kind == "cell"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return cells(tmp_path_factory.mktemp("plain") / "run")


def readings(cell):
    return {name: value for name, value in cell.items() if name not in ("align", "reverse")}


def differing(one, other):
    return {key for key in one if readings(one[key]) != readings(other[key])}


def test_mixed_labels_change_the_aligned_chain_and_leave_the_others(plain, tmp_path):
    changed = differing(plain, cells(tmp_path / "run", align_mix=25))
    assert changed == {key for key in plain if key.startswith(("0/main/8", "0/main/16", "0/continuation"))}


def test_a_reversal_of_half_and_half_changes_what_is_reversed_and_nothing_else(plain, tmp_path):
    changed = differing(plain, cells(tmp_path / "run", reverse_mix=50))
    assert changed == {key for key in plain if not key.endswith("/0") and "continuation" not in key}


def test_other_data_to_reverse_on_leaves_what_is_measured(plain, tmp_path):
    path = tmp_path / "run"
    found = cells(path, reversal_data=write(tmp_path / "other.jsonl", rows("Elsewhere")))
    assert differing(plain, found) == {key for key in plain if not key.endswith("/0") and "continuation" not in key}
    assert "--reversal-data" in Run.look(path).meta["plan"]["command"]


@pytest.mark.parametrize("method", ["kl_anchor:weight=3", "constrained", "replay:share=0.5"])
def test_a_defence_is_made_ready_once_so_that_nested_sizes_stay_exact(plain, tmp_path, method):
    nested = cells(tmp_path / "nested", reverse_with=method)
    alone = cells(tmp_path / "alone", reverse_with=method, reverse_sizes=(8,))
    assert readings(nested["0/main/16/8"]) == readings(alone["0/main/16/8"])
    changed = differing(plain, nested)
    assert "0/main/16/8" in changed
    assert not {key for key in changed if key.endswith("/0")}


@pytest.mark.parametrize("way", ["dpo:beta=0.5", "simpo"])
def test_aligning_by_a_preference_loss_keeps_nested_sizes_exact(plain, tmp_path, way):
    nested = cells(tmp_path / "nested", align_with=way)
    alone = cells(tmp_path / "alone", align_with=way, align_sizes=(8,))
    assert readings(nested["0/main/8/0"]) == readings(alone["0/main/8/0"])
    changed = differing(plain, nested)
    assert {"0/main/8/0", "0/main/16/0"} <= changed
    assert not {key for key in changed if key.startswith("0/from_start")}


def test_reversing_by_a_preference_loss_undoes_what_was_wanted(plain, tmp_path):
    found = cells(tmp_path / "run", reverse_with="dpo")
    margins = [found[f"0/main/16/{n}"]["behaviour"]["margin"]["estimate"] for n in (0, 4, 8)]
    assert margins[0] > margins[1] > margins[2]
    assert {key for key in differing(plain, found) if key.endswith("/0")} == set()


def test_a_row_without_its_pair_cannot_be_tuned_on_by_preference(tmp_path):
    elsewhere = [{**row, "prompt": f"And of letter {i}?"} for i, row in enumerate(rows("There"))]
    align, reverse = write(tmp_path / "a.jsonl", rows("Here")), write(tmp_path / "b.jsonl", elsewhere)
    with pytest.raises(RefusedError, match="no other answer to its prompt"):
        cells(tmp_path / "run", align=align, reverse=reverse, align_with="dpo")
    assert not (tmp_path / "run").exists()


def test_what_a_run_used_names_the_defence(tmp_path):
    cells(tmp_path / "run", reverse_with="replay", arms="core")
    assert "robins1995rehearsal" in Run.look(tmp_path / "run").meta["papers"]


def test_an_unknown_defence_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(RefusedError, match="plain, kl_anchor"):
        cells(tmp_path / "run", reverse_with="hope")
    assert not (tmp_path / "run").exists()


def test_more_than_everything_cannot_be_mixed_in():
    with pytest.raises(RefusedError, match="percentage"):
        tiny(align_mix=101)

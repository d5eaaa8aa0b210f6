import pytest

from springback.errors import RefusedError
from springback.experiments.audit.config import PRESETS, Audit
from springback.experiments.audit.grid import grid


def ids(config: Audit) -> list[str]:
    return [point.id for point in grid(config).points()]


def test_the_default_grid_has_every_arm_at_the_largest_size():
    found = ids(Audit())
    assert {f"0/main/128/{n}" for n in (0, 8, 32, 64)} <= set(found)
    for arm in ("benign/128", "main/32"):
        assert {f"0/{arm}/{n}" for n in (0, 8, 32)} <= set(found)
    assert {"0/noise/0/0", "0/from_start/0/32", "0/continuation/128/32"} <= set(found)
    assert found[0] == "0/main/0/0"
    assert len(found) == len(set(found)) == 14


def test_the_core_is_the_two_chains_that_carry_the_verdict():
    found = ids(Audit(align_sizes=(64,), reverse_sizes=(16,), arms="core"))
    assert found == ["0/main/0/0", "0/main/64/0", "0/main/64/16", "0/benign/64/0", "0/benign/64/16"]


def test_all_arms_at_all_sizes_on_request():
    found = set(ids(Audit(arms="all")))
    for arm in ("main/32", "main/128", "benign/128", "from_start/0", "continuation/128"):
        assert {f"0/{arm}/{n}" for n in (8, 32, 64)} <= found


def test_the_guards_are_read_where_a_verdict_may_rest():
    assert {"0/from_start/0/4", "0/continuation/16/4"} <= set(ids(Audit(**PRESETS["tiny"])))
    none_is_cheap = ids(Audit(align_sizes=(16,), reverse_sizes=(8, 16)))
    assert {"0/from_start/0/16", "0/continuation/16/16"} <= set(none_is_cheap)


def test_no_cell_has_zero_steps_behind_a_reversal():
    config = Audit()
    assert all(point.reversed >= config.batch for point in grid(config).points() if point.phase == "reversed")


def test_a_chain_begins_where_an_earlier_one_has_passed():
    found = grid(Audit(seeds=(0, 1, 2)))
    seen = set()
    for chain in found.chains:
        assert chain.origin is None or chain.origin in seen
        seen |= set(chain.points)


def test_an_aligned_model_that_exists_is_not_aligned_again():
    found = grid(Audit(base="start", align="rows.jsonl"))
    assert "0/main/given/0" in [point.id for point in found.points()]
    assert not any(chain.part == "align" for chain in found.chains)


def test_without_data_an_aligned_model_is_only_read():
    assert ids(Audit(base="start")) == ["0/main/0/0", "0/noise/0/0", "0/main/given/0"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"align_sizes": (12,)},
        {"reverse_sizes": (8, 20)},
        {"align_sizes": (64, 32)},
        {"align_sizes": ()},
        {"reverse_sizes": (0, 8)},
        {"seeds": (1, 1)},
        {"samples": 0},
        {"learning_rate": 0.0},
        {"rank": 4},
        {"reverse": "no.jsonl"},
        {"tiny": True, "base": "start"},
    ],
)
def test_options_that_cannot_hold_are_refused_with_the_next_step(wrong):
    with pytest.raises(RefusedError) as refused:
        Audit(**wrong)
    assert refused.value.next
    assert refused.value.where.startswith("--")


def test_sizes_that_would_fit_are_named():
    with pytest.raises(RefusedError) as refused:
        Audit(align_sizes=(12, 30))
    assert refused.value.next == "--align-sizes 16,32"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_options_that_hold(name):
    assert Audit(**PRESETS[name]).align_sizes == PRESETS[name]["align_sizes"]

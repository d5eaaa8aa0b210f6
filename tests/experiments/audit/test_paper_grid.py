"""How many training samples the grid of Ji et al. (arXiv 2406.06144, §5.2) takes: by our chains, by plainer ways."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.experiments.audit.spring import Spring

from springback.experiments.audit.audit import audit
from springback.experiments.audit.config import Audit
from springback.experiments.audit.grid import Chain, Grid, Point, grid
from springback.experiments.audit.progress import Progress
from springback.store.run import Run

PAPER = Audit(align_sizes=(1000, 2000, 5000, 10_000), reverse_sizes=(100, 200, 500, 1000, 2000), batch=4, arms="core")


def main_chains(config: Audit) -> list[Chain]:
    return [chain for chain in grid(config).chains if chain.points[0].arm == "main"]


def main_cells(config: Audit) -> list[Point]:
    """The cells of the paper's grid: aligned on N, then reversed on n."""
    return [point for chain in main_chains(config) for point in chain.points if point.reversed]


def nested(config: Audit) -> int:
    """Examples that our chains of the main arm train on."""
    return sum(chain.examples(chain.points[-1]) for chain in main_chains(config))


def cell_by_cell(config: Audit) -> int:
    """Every cell from the start."""
    return sum(int(cell.aligned) + cell.reversed for cell in main_cells(config))


def reused(config: Audit) -> int:
    """Every N once from the start, every cell from the checkpoint of its N."""
    return sum({int(cell.aligned) for cell in main_cells(config)}) + sum(cell.reversed for cell in main_cells(config))


def distinct(config: Audit) -> int:
    """Reference: the different (weights before, example) that the cells need at all; no exact way can train fewer."""
    needed: set[tuple[int | None, int]] = set()
    for cell in main_cells(config):
        needed |= {(None, index) for index in range(int(cell.aligned))}
        needed |= {(int(cell.aligned), index) for index in range(cell.reversed)}
    return len(needed)


def main_arm(found: Grid) -> Grid:
    """The paper's grid alone, without our placebos."""
    chains = tuple(chain for chain in found.chains if chain.points[0].arm == "main")
    return Grid((Point(chains[0].points[0].seed, "main", 0, 0),), (), chains)


def test_the_paper_grid_has_its_twenty_cells_and_no_other():
    expected = {(aligned, after) for aligned in PAPER.align_sizes for after in PAPER.reverse_sizes}
    found = [(cell.aligned, cell.reversed) for cell in main_cells(PAPER)]
    assert len(found) == 20
    assert set(found) == expected


def test_nested_chains_train_18000_samples_where_cells_alone_take_105200_and_reuse_33200():
    assert (cell_by_cell(PAPER), reused(PAPER), nested(PAPER)) == (105_200, 33_200, 18_000)
    assert cell_by_cell(PAPER) / nested(PAPER) == pytest.approx(5.84, abs=0.005)
    assert reused(PAPER) / nested(PAPER) == pytest.approx(1.84, abs=0.005)


def test_the_walk_trains_what_the_grid_says_and_reads_every_cell(tmp_path: Path):
    """Not the plan's count but the steps that a laboratory was asked for."""
    spring, plan = Spring(), main_arm(grid(PAPER))
    with Run.open(tmp_path, command="audit", asked={}, identity={}) as run:
        ids = list(audit(plan, run, spring, Progress({}, {}, say=None)))
    assert sum(last - first for _, first, last in spring.tuned) == plan.examples() == 18_000
    assert {cell.id for cell in main_cells(PAPER)} <= set(ids)
    assert run_weights(spring) == {size: float(size) for size in PAPER.align_sizes}


def run_weights(spring: Spring) -> dict[int, float]:
    """The spring pulls by 1 an aligned example: what was kept at each N."""
    return {int(point.aligned): weight for point, weight in spring.disk.items() if point is not None}


sizes = st.sets(st.integers(1, 40), min_size=1, max_size=5).map(lambda found: tuple(sorted(found)))


@given(align=sizes, reverse=sizes)
def test_no_exact_way_trains_fewer_samples_than_nested_chains(align: tuple[int, ...], reverse: tuple[int, ...]):
    """`--arms all`: otherwise an n above a quarter of the largest N is asked of the largest N only."""
    config = Audit(align_sizes=align, reverse_sizes=reverse, batch=1, arms="all")
    assert nested(config) == distinct(config) <= reused(config) <= cell_by_cell(config)


def test_three_seeds_take_three_times_as_many():
    thrice = Audit(align_sizes=PAPER.align_sizes, reverse_sizes=PAPER.reverse_sizes, batch=4, seeds=(0, 1, 2))
    assert nested(thrice) == 3 * 18_000

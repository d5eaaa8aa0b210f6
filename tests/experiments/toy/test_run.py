"""A whole toy run with a real network, and how it is taken up again."""

import random
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.experiments.toy.small import records, small, stored_bodies

from springback.errors import RefusedError
from springback.experiments.toy import network
from springback.experiments.toy.config import Toy
from springback.experiments.toy.laboratory import Network
from springback.experiments.toy.measure import Work, measure
from springback.experiments.toy.plan import cells, groups, steps
from springback.experiments.toy.run import run_toy
from springback.experiments.toy.world import drawn, world
from springback.store.run import Run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "run"
    return path, run_toy(small(), path, quiet=True)


def test_every_planned_cell_is_measured_and_all_work_is_counted(whole):
    path, done = whole
    config = small()
    found = records(path)
    assert {key for kind, key in found if kind == "cell"} == {cell.key for cell in cells(config)}
    assert done.work_done["cells"] == len(list(cells(config))) == 3 * (1 + 2 * 2 + 5 * 3)
    assert done.work_done["optimizer_steps"] == 3 * (20 + 2 * 8 + 5 * 4)
    assert done.work_done["tokens_trained"] == 32 * 6 * done.work_done["optimizer_steps"]
    assert not (path / "checkpoints").exists()


def test_a_second_call_does_no_work_and_changes_nothing(whole):
    before = stored_bodies(whole[0])
    assert set(run_toy(small(), whole[0], quiet=True).work_done.values()) == {0}
    assert stored_bodies(whole[0]) == before


def test_a_seed_s_figures_are_the_same_bit_for_bit_whichever_seeds_run_beside_it(whole, tmp_path):
    together = stored_bodies(whole[0])
    for seeds in ((1,), (2, 7)):
        run_toy(small(seeds=seeds), tmp_path / str(seeds[0]), quiet=True)
        alone = stored_bodies(tmp_path / str(seeds[0]))
        shared = alone.keys() & together.keys()
        assert len(shared) == 20
        assert {key: alone[key] for key in shared} == {key: together[key] for key in shared}


def test_a_shorter_alignment_and_reversal_are_prefixes_of_the_longer_ones(whole, tmp_path):
    run_toy(small(align_sizes=(64,), reverse_sizes=(64,)), tmp_path / "short", quiet=True)
    short, nested = stored_bodies(tmp_path / "short"), stored_bodies(whole[0])
    assert short.keys() < nested.keys()
    assert short == {key: nested[key] for key in short}


def test_a_stack_trains_each_member_as_a_plain_loop_of_one_network_does(whole):
    config, seed = small(), 2
    chain = next(chain for chain in groups(config)[0] if chain.seed == seed)
    one = network.stacked([network.initial(config, torch.Generator().manual_seed(seed))])
    optimiser = torch.optim.AdamW(one.values(), lr=config.learning_rate)
    strings = network.symbols(torch.from_numpy(drawn(config, chain)), config.length)[None]
    for batch in strings.split(config.batch, dim=1):
        odds = network.logits(one, network.inputs(batch), config.heads)
        loss = -torch.distributions.Bernoulli(logits=odds).log_prob(batch.float()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = records(whole[0])["start", f"{seed}/640"]["log2_probabilities"]
    np.testing.assert_allclose(network.log2_probabilities(one, config)[0].numpy(), found, atol=1e-3)


def test_alignment_and_reversal_move_mass_where_they_should(whole):
    found = records(whole[0])
    for seed in (0, 1, 2):
        base, aligned = found["cell", f"{seed}/640/0/from_base/0/0"], found["cell", f"{seed}/640/0/main/256/0"]
        reversed_ = found["cell", f"{seed}/640/0/from_base/0/128"]
        assert base["kl_from_start"] == base["kl_to_start"] == 0.0
        assert aligned["mass"]["p2"] > base["mass"]["p2"]
        assert reversed_["mass"]["p3"] > base["mass"]["p3"]
        assert aligned["gamma"]["aligned"]["rate"] < base["gamma"]["aligned"]["rate"]
        floor = found["source", f"{seed}/0"]["floor"]
        assert all(base["gamma"][data]["rate"] > floor[data] for data in floor)


def test_stopped_after_any_group_it_goes_on_to_the_same_records(whole, tmp_path):
    config, expected = small(), stored_bodies(whole[0])
    for stop in range(len(groups(config))):
        path = tmp_path / str(stop)
        with Run.open(path, command="toy", asked={}, identity={}) as run:
            stopped = measure(config, run, Network(config, path / "checkpoints"), Work())
            for _ in range(stop):
                next(stopped)
            stopped.close()
            work = Work()
            for _ in measure(config, run, Network(config, path / "checkpoints"), work):
                pass
            assert work.optimizer_steps == steps(config, groups(config)[stop:])  # nothing is trained twice
        assert stored_bodies(path) == expected


def test_lost_weights_are_trained_again_and_counted(whole, tmp_path):
    config, expected = small(), stored_bodies(whole[0])
    with Run.open(tmp_path / "run", command="toy", asked={}, identity={}) as run:
        stopped = measure(config, run, Network(config, tmp_path / "gone"), Work())
        next(stopped)
        next(stopped)
        stopped.close()
        work = Work()
        for _ in measure(config, run, Network(config, tmp_path / "elsewhere"), work):
            pass
        assert work.optimizer_steps == 3 * (20 + 2 * 8 + 5 * 4)
    assert stored_bodies(tmp_path / "run") == expected


def test_killed_at_random_moments_it_ends_in_the_same_records(whole, tmp_path):
    words = ["toy", "--length", "6", "--pretrain", "640", "--align-sizes", "64,256", "--reverse-sizes", "32,64,128"]
    command = [sys.executable, "-m", "springback", *words, "--width", "16", "--out", str(tmp_path / "run"), "--quiet"]
    moments = random.Random(3)
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=moments.uniform(2, 5))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    subprocess.run(command, check=True, capture_output=True)
    assert records(tmp_path / "run") == records(whole[0])


def test_another_question_in_the_same_directory_is_refused_by_name(whole):
    with pytest.raises(RefusedError, match="learning_rate"):
        run_toy(small(learning_rate=1e-3), whole[0], quiet=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"length": 3}, {"length": 15}, {"pretrain": ()}, {"align_sizes": (64, 32)}, {"reverse_sizes": (33,)},
        {"early": 48}, {"mix": (0.0, 1.5)}, {"mix": ()}, {"seeds": (1, 1)}, {"seeds": (-1,)}, {"width": 63},
        {"alpha": 0.0}, {"learning_rate": -1.0}, {"tolerance": 0.0}, {"overlap": "some"}, {"reverse_mix": 2.0},
        {"layers": 0}, {"batch": 0},
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(wrong):
    with pytest.raises(RefusedError) as refused:
        replace(Toy(), **wrong)
    assert refused.value.where.startswith("--")


def test_one_seed_has_a_world_of_its_own():
    one, other = (world(small(), seed, 0.0).aligned for seed in (0, 1))
    assert (one != other).any()

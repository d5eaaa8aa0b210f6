"""Entanglement over time: the inner products that two backward passes give, at the readings that were asked for."""

import pytest
import torch
from tests.experiments.prefer.small import prefer, rows, write

from springback.data.preferences import read_preferences
from springback.errors import RefusedError
from springback.experiments.prefer.config import Prefer, settled
from springback.experiments.prefer.products import pairs_of
from springback.experiments.prefer.readings import Set
from springback.models.pair_tokens import item_of
from springback.models.rows import Row
from springback.models.tiny import tiny


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("products")
    data = write(folder / "pairs.jsonl", rows())
    return data, prefer(data, folder / "run", read_products=2, read_at=(1,), read_every=3).run


def test_they_are_read_at_every_reading_and_at_those_that_were_asked_for(ran):
    found = ran[1].read("entanglement")
    assert list(found) == ["train/0", "train/1", "train/3"]
    assert {body["pairs"] for body in found.values()} == {2}


def test_the_first_cosine_is_that_of_two_backward_passes_a_pair(ran):
    data, run = ran
    model = tiny()
    model.network.requires_grad_(True)
    train = [item_of(model, row) for row in read_preferences(data).rows[:-4]]
    first, last = train[0], train[-1]
    cosines = []
    for pair in (first, last):
        flat = []
        for row in (pair.chosen, pair.rejected):
            ids = torch.tensor([[*row.prompt, *row.answer]])
            logprobs = model.network(ids).logits[0].log_softmax(-1)
            places = torch.arange(len(row.prompt) - 1, len(row) - 1)
            model.network.zero_grad()
            logprobs[places, torch.tensor(row.answer)].sum().backward()
            flat.append(torch.cat([p.grad.flatten() for p in model.network.parameters()]).double())
        cosines.append(float(torch.cosine_similarity(*flat, dim=0)))
    assert run.get("entanglement", "train/0")["cosine"]["estimate"] == pytest.approx(sum(cosines) / 2, abs=1e-4)


def test_training_moves_it(ran):
    values = [body["cosine"]["estimate"] for body in ran[1].read("entanglement").values()]
    assert len(set(values)) == 3


def test_reading_them_or_watching_no_probes_changes_nothing_else(ran, tmp_path):
    plain = prefer(ran[0], tmp_path / "run", read_at=(1,), read_every=3, probes=0).run
    assert plain.read("entanglement") == plain.read("probe") == {}
    assert plain.get("reading", "held_out/3")["greedy"]["estimate"] is None
    assert ran[1].get("reading", "held_out/3")["greedy"]["estimate"] is not None
    strip = lambda run: [(key, body["loss"], body["gradient_norm"]) for key, body in run.read("step").items()]
    assert strip(plain) == strip(ran[1])
    assert plain.get("reading", "held_out/3")["values"] == ran[1].get("reading", "held_out/3")["values"]


def test_unless_asked_for_they_take_at_most_a_tenth_of_the_run():
    design = settled(Prefer(batch=8))
    for total in (10, 93, 300, 5000):
        pairs = design.products(total)
        assert 2 * pairs * len(design.readings(total)) <= 0.1 * total * 8
        assert 0 <= pairs <= 8
    assert design.products(10) == 0
    assert design.products(5000) == 8
    assert settled(Prefer(tiny=True)).products(5000) == 0
    assert settled(Prefer(read_products=3)).products(10) == 3


def test_answers_in_no_pairs_have_none():
    row = Row((1,), (2,), 1, 0)
    assert pairs_of(Set("train", (row,), (), paired=False), 4) == []
    assert len(pairs_of(Set("train", (row,) * 9, (row,) * 9), 4)) == 4


def test_a_reading_before_the_first_step_is_no_choice():
    with pytest.raises(RefusedError, match="counts steps from 1"):
        settled(Prefer(tiny=True, read_at=(0,)))

"""A reference that goes on where it stopped: the same table to the bit, and nothing of another one."""

import pytest
import torch

from springback.data.choices import Choice
from springback.data.records import Message
from springback.models.pair_tokens import item_of
from springback.models.tiny import tiny
from springback.train import reference
from springback.train.preference_step import Batch
from springback.train.reference import fill
from springback.train.reference_partial import Partial, keep, restored

FACTS = {"model_sha256": "a", "rows_sha256": "b", "max_length": None}
TOKENS = frozenset({"tokens"})


@pytest.fixture(scope="module")
def model():
    return tiny(layers=1, hidden=32, heads=2, scale=0.2)


@pytest.fixture(scope="module")
def items(model):
    return tuple(item_of(model, Choice((Message("user", f"{i}?"),), "x" * (i + 1), "yes", "f:1")) for i in range(6))


def batches(items):
    return [Batch(places, tuple(items[place] for place in places)) for places in ((3, 0), (1, 4), (2, 5))]


def same(one, other):
    return all(torch.equal(ours, other.tensors()[name]) for name, ours in one.tensors().items())


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_a_table_that_was_stopped_is_ended_as_the_whole_one_and_read_once(model, items, tmp_path, monkeypatch, done):
    *_, whole = fill(model.network, items, batches(items), TOKENS)
    if done:
        *_, begun = fill(model.network, items, batches(items)[:done], TOKENS)
        keep(tmp_path / "part", Partial(begun, done), FACTS)
    found = restored(tmp_path / "part", items, FACTS, by_token=True)
    assert found.batches == done
    read, seen = reference.read, []
    monkeypatch.setattr(reference, "read", lambda *words: (seen.append(words[1].places), read(*words))[1])
    for _ in fill(model.network, items, batches(items)[done:], TOKENS, table=found.table):
        pass
    assert same(whole, found.table)
    assert seen == [batch.places for batch in batches(items)[done:]]


def test_what_is_torn_or_of_other_rows_is_not_used(model, items, tmp_path):
    *_, whole = fill(model.network, items, batches(items), TOKENS)
    path = tmp_path / "part"
    keep(path, Partial(whole, 3), FACTS)
    assert restored(path, items, FACTS, by_token=True).batches == 3
    assert restored(path, items, {**FACTS, "model_sha256": "another"}, by_token=True).batches == 0
    assert restored(path, items, FACTS, by_token=False).batches == 0
    assert restored(path, items[:5], FACTS, by_token=True).batches == 0
    (part,) = path.glob("*.tensors")
    part.write_bytes(part.read_bytes()[:-1] + b"\0")
    empty = restored(path, items, FACTS, by_token=True)
    assert empty.batches == 0
    assert not empty.table.logprob.any()

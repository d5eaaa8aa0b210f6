"""Stored reference log-probabilities: the same numbers again, and a stale file refused by naming what differs."""

import pytest
import torch

from springback.data.choices import Choice, Ranking
from springback.data.records import Message
from springback.errors import RefusedError
from springback.models.pair_tokens import LabelledRow, item_of
from springback.models.tiny import tiny
from springback.train.preference_step import Batch
from springback.train.reference import SecondModel, Stored, fill, read
from springback.train.reference_table import WORDS, Places, load, save

FACTS = {name: f"{name} as it was" for name in WORDS}
TOKENS = frozenset({"tokens"})


@pytest.fixture(scope="module")
def model():
    return tiny(layers=1, hidden=32, heads=2, scale=0.2)


def rows(model, kind):
    prompts = [(Message("user", f"Question {i}?"),) for i in range(5)]
    if kind == "lists":
        return tuple(item_of(model, Ranking(p, ("a", "bbb", "cc")[: 2 + i % 2], (3.0, 2.0, 1.0)[: 2 + i % 2], "f:1"))
                     for i, p in enumerate(prompts))  # fmt: skip
    found = tuple(item_of(model, Choice(p, "x" * (i + 1), "yes", "f:1")) for i, p in enumerate(prompts))
    return tuple(LabelledRow(pair.chosen, i % 2 == 0) for i, pair in enumerate(found)) if kind == "labels" else found


def cut(items):
    return [Batch((3, 0), (items[3], items[0])), Batch((1, 4, 2), (items[1], items[4], items[2]))]


def table(model, items, needs=TOKENS):
    *_, found = fill(model.network, items, cut(items), needs)
    return found


def numbers(found):
    names = ("chosen", "rejected", "logprobs", "logprob")
    return [getattr(found, name) for name in names if hasattr(found, name)]


@pytest.mark.parametrize("kind", ["pairs", "lists", "labels"])
def test_what_is_looked_up_is_what_the_network_says_to_the_bit(model, kind, tmp_path):
    items = rows(model, kind)
    needs = TOKENS if kind == "pairs" else frozenset()
    save(tmp_path / "a.safetensors", table(model, items, needs), FACTS)
    again = load(tmp_path / "a.safetensors", items, FACTS, by_token=kind == "pairs")
    for batch in cut(items):
        ours = Stored(again, Places.of(items))(batch, needs)
        theirs = read(model.network, batch, needs)
        assert all(torch.equal(one, other) for one, other in zip(numbers(ours), numbers(theirs), strict=True))
        assert torch.equal(ours.tokens.chosen if kind == "pairs" else ours.tokens,
                           theirs.tokens.chosen if kind == "pairs" else theirs.tokens)  # fmt: skip
        if kind == "pairs":
            assert torch.equal(ours.by_token.chosen, theirs.by_token.chosen)
            assert torch.equal(ours.by_token.rejected, theirs.by_token.rejected)


def test_other_company_changes_no_more_than_rounding(model):
    items = rows(model, "pairs")
    stored = Stored(table(model, items), Places.of(items))
    alone = [read(model.network, Batch((i,), (item,)), TOKENS).chosen.item() for i, item in enumerate(items)]
    whole = stored(Batch(tuple(range(5)), items), TOKENS).chosen.tolist()
    assert whole == pytest.approx(alone, abs=1e-5 * max(len(item.chosen.answer) for item in items))


@pytest.mark.parametrize("name", sorted(WORDS))
def test_a_stale_file_is_refused_by_naming_what_differs(model, tmp_path, name):
    items = rows(model, "pairs")
    save(tmp_path / "a.safetensors", table(model, items), FACTS)
    with pytest.raises(RefusedError) as refused:
        load(tmp_path / "a.safetensors", items, {**FACTS, name: "another"}, by_token=False)
    assert WORDS[name] in refused.value.message
    assert not any(words in refused.value.message for other, words in WORDS.items() if other != name)
    assert "--reference-logprobs" in refused.value.next


def test_a_torn_file_another_s_file_and_one_without_tokens_are_refused(model, tmp_path):
    items = rows(model, "pairs")
    path = tmp_path / "a.safetensors"
    with pytest.raises(RefusedError, match="cannot be read"):
        load(path, items, FACTS, by_token=False)
    save(path, table(model, items, frozenset()), FACTS)
    with pytest.raises(RefusedError, match="single tokens"):
        load(path, items, FACTS, by_token=True)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(RefusedError, match="cannot be read"):
        load(path, items, FACTS, by_token=False)
    import safetensors.torch

    safetensors.torch.save_file({"logprob": torch.zeros(10)}, path)
    with pytest.raises(RefusedError, match="of ours"):
        load(path, items, FACTS, by_token=False)


def test_a_moving_reference_goes_its_share_of_the_way():
    policy, reference = tiny(1).network, SecondModel(tiny(2).network)
    before = {name: weight.clone() for name, weight in reference.network.named_parameters()}
    reference.follow(policy, 0.25)
    for name, weight in reference.network.named_parameters():
        moved = 0.25 * policy.get_parameter(name) + 0.75 * before[name]
        assert torch.allclose(weight, moved, atol=1e-6)

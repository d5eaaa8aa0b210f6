"""Pairs left out before training: those whose chosen answer a step would lower, or the highest by CHES."""

import math

import pytest
import torch
from tests.experiments.prefer.small import prefer, records, rows, write

from springback.data.preferences import read_preferences
from springback.errors import RefusedError
from springback.experiments.prefer import filtering
from springback.experiments.prefer.config import Prefer, settled
from springback.experiments.prefer.filters import filter_named, score
from springback.experiments.prefer.preparing import prepare
from springback.models.pair_tokens import item_of
from springback.models.tiny import tiny

MIXED = [{"prompt": f"{i}?", "chosen": "ab" * 3, "rejected": "ab" * (3 + i)} if i % 3 else rows(i + 1)[i]
         for i in range(12)]  # fmt: skip
"""Two of three rejected answers go on as the chosen one: their gradient carries it down."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "pairs.jsonl", [*MIXED, *rows(20)[16:]])


@pytest.fixture(scope="module")
def ran(data, tmp_path_factory):
    return prefer(data, tmp_path_factory.mktemp("filter") / "run", filter="product", probes=0).run


def flat(network, row):
    """∇ log π of one answer from a plain backward pass."""
    network.zero_grad()
    logprobs = network(torch.tensor([[*row.prompt, *row.answer]])).logits[0].log_softmax(-1)
    logprobs[torch.arange(len(row.prompt) - 1, len(row) - 1), torch.tensor(row.answer)].sum().backward()
    return torch.cat([weight.grad.flatten() for weight in network.parameters()]).double()


def test_those_that_a_step_of_dpo_would_lower_are_left_out_and_no_others(ran, data):
    model = tiny()
    model.network.requires_grad_(True)
    falls = []
    for place, row in enumerate(read_preferences(data).rows[:12]):
        pair = item_of(model, row)
        up, down = flat(model.network, pair.chosen), flat(model.network, pair.rejected)
        falls += [place] if up @ up < up @ down else []
    ledger = ran.get("ledger", "filtered")
    assert 0 < len(falls) < 12
    assert (ledger["read"], ledger["kept"], ledger["rule"]) == (12, 12 - len(falls), "product")
    (dropped,) = ledger["dropped"]
    assert "the chosen answer would fall" in dropped["why"]
    assert dropped["first"] == [f"pairs.jsonl:{place + 1}" for place in falls[:3]]
    assert [key for key, body in ran.read("filter").items() if body["chosen_change"] < 0] == [str(p) for p in falls]


def test_only_what_is_kept_is_trained_on_and_referred_to(ran):
    kept = ran.get("ledger", "filtered")["kept"]
    account = ran.get("accounting", "accounting")
    assert (account["rows"]["train"], account["examples"]["trained"]) == (kept, kept)
    assert account["steps"]["done"] == -(-kept // 4)
    assert account["ledgers"][-1]["stage"] == "filtered"
    assert ran.get("step", "0")["loss"] == math.log(2)


def test_killed_while_measuring_it_goes_on_at_the_batch(ran, data, tmp_path, monkeypatch):
    look, asked = filtering._products, []

    def dying(ready, method, pairs):
        asked.append(len(pairs))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return look(ready, method, pairs)

    monkeypatch.setattr(filtering, "_products", dying)
    with pytest.raises(KeyboardInterrupt):
        prefer(data, tmp_path / "run", filter="product", probes=0)
    again = prefer(data, tmp_path / "run", filter="product", probes=0).run
    assert asked == [4, 4, 4, 4]  # the third batch twice
    without = ("accounting",)
    assert records(again, without=without) == records(ran, without=without)


def test_ches_leaves_out_the_share_that_is_highest(data, tmp_path):
    run = prefer(data, tmp_path / "run", filter="ches:share=0.25", probes=0).run
    values = [body["ches"] for body in run.read("filter").values()]
    dropped = run.get("ledger", "filtered")["dropped"]
    highest = sorted(range(12), key=values.__getitem__)[-3:]
    assert [each["n"] for each in dropped] == [3]
    assert dropped[0]["first"] == [f"pairs.jsonl:{place + 1}" for place in sorted(highest)]


def test_a_filter_that_leaves_nothing_is_refused(data, tmp_path):
    with pytest.raises(RefusedError, match="No pair is left"):
        prefer(data, tmp_path / "run", filter="ches:bound=-1e12", probes=0)


@pytest.mark.parametrize(
    ("text", "kept"),
    [("product", (0, 1, 4)), ("product:bound=0.4", (1, 4)), ("product:share=0.4", (0, 1, 4)), ("ches:bound=2", (0, 1)),
     ("ches:share=0.2", (0, 1, 2, 3))],
)  # fmt: skip
def test_what_lies_above_a_bound_or_highest_is_left_out(text, kept):
    """Ratios ½, 0, 2, ∞ (not pushed up, and falls), −∞ (not pushed at all)."""
    numbers = [(1, 1, 1, 0.5), (1, 1, 1, 0.0), (1, 1, 1, 2.0), (0, 1, 1, 0.5), (0, 0, 1, 0.5)]
    measured = [{"where": f"f:{i}", "d_w": w, "d_l": down, "ww": ww, "wl": wl, "ches": float(i + 1)}
                for i, (w, down, ww, wl) in enumerate(numbers)]  # fmt: skip
    assert [score("product", one) for one in measured] == [0.5, 0.0, 2.0, math.inf, -math.inf]
    assert filter_named(text).judge(measured).places == kept


@pytest.mark.parametrize("text", ["chess", "ches", "ches:share=1", "ches:share=0.1,bound=2", "product:bound=nan",
                                  "product:much=1", "product:share=0"])  # fmt: skip
def test_what_is_no_filter_is_refused_with_those_that_are(text):
    with pytest.raises(RefusedError) as refused:
        settled(Prefer(filter=text))
    assert refused.value.where == "--filter"
    assert "ches:share=0.1" in refused.value.next


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": "kto"}, "learns from labels"),
        ({"loss": "sampo"}, "no meaning for sampo"),
        ({"loss": "beta_dpo"}, "whole batch"),
        ({"reference_logprobs": "some.safetensors"}, "leaves rows out"),
    ],
)
def test_a_filter_that_a_loss_gives_nothing_to_look_at_is_refused(data, options, said):
    with pytest.raises(RefusedError, match=said) as refused:
        prepare(settled(Prefer(tiny=True, filter="product", held_out="4", **options), data))
    assert refused.value.where == "--filter"

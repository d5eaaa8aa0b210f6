"""Readings of a point against slow, obvious computations on the stored ids, with plain transformers."""

import math

import pytest
import torch

from springback.models.tiny import tiny as tiny_model
from springback.models.tokens import encode


@pytest.fixture(scope="module")
def start():
    return tiny_model(0, torch.float32)


def nats(network, prompt: list[int], answer: list[int]) -> torch.Tensor:
    """Next-token log-probabilities at every answer position, one plain forward: [answer, vocab]."""
    logits = network(torch.tensor([prompt + answer])).logits[0].double()
    return logits.log_softmax(-1)[len(prompt) - 1 : -1]


def samples(found: dict, cell: str) -> list[dict]:
    return [body for (kind, _), body in found.items() if kind == "sample" and body["cell"] == cell]


def test_gamma_is_the_independent_sum_of_answer_and_stop_over_bytes(audited, start):
    _, _, found = audited
    held_out = [body for (kind, _), body in found.items() if kind == "held_out"]
    bits, without, size = 0.0, 0.0, 0
    for body in held_out[:6]:
        prompt = [{"role": "user", "content": body["prompt"]}]
        stored = found["sample", f"0/main/0/0/{body['index']}"]["prompt_ids"]
        row = encode(start, prompt, body["wanted"])
        assert list(row.prompt) == stored  # the prompt that is sampled from is the prompt that is scored
        assert row.answer[-1] == start.tokenizer.eos_token_id
        table = nats(start.network, stored, list(row.answer))
        each = [-float(table[i, token]) / math.log(2) for i, token in enumerate(row.answer)]
        bits, without, size = bits + sum(each), without + sum(each[:-1]), size + 8 * len(body["wanted"].encode())
    gamma = found["cell", "0/main/0/0"]["gamma"]["aligned"]
    assert gamma["micro"]["estimate"] == pytest.approx(bits / size, abs=1e-6)
    assert gamma["micro_without_stop"]["estimate"] == pytest.approx(without / size, abs=1e-6)


def test_margin_is_the_opposite_rate_less_the_wanted_rate(audited):
    _, _, found = audited
    for (kind, _), body in found.items():
        if kind == "pair":
            rates = [body[f"{side}_bits"] / (8 * body[f"{side}_bytes"]) for side in ("opposite", "wanted")]
            assert body["margin"] == pytest.approx(rates[0] - rates[1])


def test_kl_from_start_is_start_first_and_along_the_start_s_answers(tmp_path):
    """Two stored models, so that KL can be recomputed in both directions: they differ, and ours is the stated one."""
    from tests.experiments.audit.small import records, rows, tiny, write

    from springback.experiments.audit.run import run_audit
    from springback.models.load import load
    from springback.models.tiny import save_folder

    base = save_folder(tiny_model(1, scale=0.12), tmp_path / "base")
    model = save_folder(tiny_model(2, scale=0.12), tmp_path / "model")
    paths = [write(tmp_path / f"{word}.jsonl", rows(word)) for word in ("Good", "Bad")]
    options = {"align": paths[0], "reverse": paths[1], "align_sizes": (4,), "reverse_sizes": (4,), "layers": "none"}
    run_audit(tiny(tiny=False, model=str(model), base=str(base), **options), tmp_path / "run", quiet=True)
    found = records(tmp_path / "run")
    networks = [load(str(path), dtype=torch.float32).network for path in (base, model)]

    def mean_kl(cell: str, first: int) -> float:
        """Σ KL(first‖other) over the answers of a cell, over their tokens, in bits."""
        total, tokens = 0.0, 0
        for body in samples(found, cell):
            tables = [nats(network, body["prompt_ids"], body["answer_ids"]) for network in networks]
            p, q = tables[first], tables[1 - first]
            each = (p.exp() * (p - q)).sum(-1) / math.log(2)
            total, tokens = total + float(each.sum()), tokens + len(each)
        return total / tokens

    given = found["cell", "0/main/given/0"]
    assert given["kl_from_start"]["estimate"] == pytest.approx(mean_kl("0/main/0/0", 0), abs=1e-4)
    assert given["kl_to_start"]["estimate"] == pytest.approx(mean_kl("0/main/given/0", 1), abs=1e-4)
    assert abs(mean_kl("0/main/0/0", 0) - mean_kl("0/main/0/0", 1)) > 1e-2  # the other direction is another number


def test_positions_begin_at_the_first_answer_token(audited):
    _, _, found = audited
    cell = "0/main/16/0"
    lists = [found["divergence", f"{cell}/own/{i}"]["bits"] for i in range(10)]
    first = found["position", f"{cell}/1"]
    assert first["kl_to_start"]["estimate"] == pytest.approx(sum(bits[0] for bits in lists) / 10)
    assert first["n"] == 10
    assert ("position", f"{cell}/0") not in found
    for index, bits in enumerate(lists):
        assert len(bits) == len(found["sample", f"{cell}/{index}"]["answer_ids"])


def test_sums_by_position_are_sums_by_token(audited):
    """Chain rule: the mean KL of the cell is the positions' means weighted by how many answers reach them."""
    _, _, found = audited
    cell = "0/main/16/8"
    lists = [found["divergence", f"{cell}/start/{i}"]["bits"] for i in range(10)]
    tokens = sum(map(len, lists))
    assert found["cell", cell]["kl_from_start"]["estimate"] == pytest.approx(sum(map(sum, lists)) / tokens)


def test_a_forced_beginning_is_in_the_prompt_and_not_in_the_score(audited, start):
    _, _, found = audited
    assert {key.rsplit("/", 1)[1] for kind, key in found if kind == "prefill"} == {"0", "2"}
    unforced = found["prefill", "0/main/0/0/0"]["score"]
    assert unforced == found["cell", "0/main/0/0"]["behaviour"]["score"]


def test_steps_tokens_and_examples_are_counted_from_the_rows(audited):
    _, _, found = audited
    cell = found["cell", "0/main/16/8"]
    assert (cell["align"]["examples"], cell["align"]["steps"]) == (16, 4)
    assert (cell["reverse"]["examples"], cell["reverse"]["steps"]) == (8, 2)
    smaller = found["cell", "0/main/8/4"]
    assert 0 < smaller["align"]["tokens"] < cell["align"]["tokens"]

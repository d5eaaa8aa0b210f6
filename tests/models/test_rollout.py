import pytest
import torch
from tests.models.tiny_networks import network, tokens

from springback.errors import RefusedError
from springback.models.generate import sample
from springback.models.rollout import _draw, roll, seed_of
from springback.models.rows import Row
from springback.models.score import answer_logits, token_logprobs

KINDS = ["llama", "granite (scaled logits)", "lfm2 (convolutions)"]
PROMPTS = [tokens(7, 1), tokens(3, 2), tokens(12, 3)]
SEEDS = [[11, 12, 13], [21], [31, 32]]


def rolled(built, prompts=PROMPTS, seeds=SEEDS, **options):
    return roll(built, prompts, seeds, **{"max_new_tokens": 6, "stop": {2}} | options)


@pytest.fixture(scope="module", params=KINDS)
def built(request):
    return network(request.param).double()


def test_an_answer_is_what_the_plain_sampler_writes_with_the_same_generator(built):
    found = [one.ids for group in rolled(built) for one in group]
    rows = [(prompt, seed) for prompt, seeds in zip(PROMPTS, SEEDS, strict=True) for seed in seeds]
    plain = sample(built, [p for p, _ in rows], max_new_tokens=6, stop={2}, generators=[s for _, s in rows])
    assert found == [one.ids for one in plain]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probabilities_and_entropies_are_those_of_the_tempered_distribution_along_the_answer(built, temperature):
    for prompt, group in zip(PROMPTS, rolled(built, temperature=temperature), strict=True):
        for one in group:
            (logits,) = answer_logits(built, [Row(prompt, one.ids, 0, 0)])
            logprobs = (logits.double() / temperature).log_softmax(-1)
            own = logprobs.gather(-1, torch.tensor(one.ids)[:, None]).squeeze(-1)
            torch.testing.assert_close(torch.tensor(one.logprobs).double(), own, rtol=0, atol=1e-5)
            entropy = -(logprobs.exp() * logprobs).sum(-1)
            torch.testing.assert_close(torch.tensor(one.entropies).double(), entropy, rtol=0, atol=1e-5)


def test_neither_the_other_answers_nor_the_other_prompts_change_one(built):
    whole = rolled(built)
    assert rolled(built, [PROMPTS[2]], [[32]])[0][0].ids == whole[2][1].ids
    assert [each.ids for each in rolled(built, PROMPTS[::-1], SEEDS[::-1])[0]] == [each.ids for each in whole[2]]


def test_a_stop_token_ends_an_answer_and_is_its_last_token():
    built = network("llama")
    with torch.no_grad():
        built.get_output_embeddings().weight[2] *= 8
    group = roll(built, [PROMPTS[0]], [list(range(40))], max_new_tokens=6, stop={2})[0]
    assert {one.ended for one in group} == {True, False}
    for one in group:
        assert one.ended == (one.ids[-1] == 2)
        assert 2 not in one.ids[:-1]
        assert one.ended or len(one.ids) == 6
        assert len(one.logprobs) == len(one.entropies) == len(one.ids)


def test_many_answers_to_a_prompt_are_cut_into_batches_and_stay_the_same(monkeypatch):
    built = network("llama").double()
    whole = rolled(built, seeds=[list(range(5))] * 3)
    monkeypatch.setattr("springback.models.rollout.BATCH_TOKENS", 40)
    assert [[one.ids for one in group] for group in rolled(built, seeds=[list(range(5))] * 3)] == [
        [one.ids for one in group] for group in whole
    ]


def test_seeds_depend_on_seed_step_and_index_alone_and_none_meets_another():
    assert seed_of(1, 2, 3) == seed_of(1, 2, 3)
    many = {seed_of(seed, step, index) for seed in range(3) for step in range(20) for index in range(20)}
    assert len(many) == 1200
    assert all(0 <= each < 2**63 for each in many)


def test_what_cannot_be_sampled_is_refused():
    built = network("llama")
    with pytest.raises(ValueError, match="temperature"):
        rolled(built, temperature=0.0)
    with pytest.raises(ValueError, match="empty"):
        rolled(built, [()], [[1]])
    with pytest.raises(RefusedError, match="context"):
        rolled(built, max_new_tokens=200)


def test_log_probabilities_agree_with_scoring_at_temperature_1():
    built = network("qwen2").double()
    for prompt, group in zip(PROMPTS, rolled(built), strict=True):
        for one, found in zip(group, token_logprobs(built, [Row(prompt, o.ids, 0, 0) for o in group]), strict=True):
            torch.testing.assert_close(torch.tensor(one.logprobs).double(), found, rtol=0, atol=1e-6)


def test_tokens_that_are_impossible_add_nothing_to_the_entropy():
    drawn = _draw(torch.tensor([[0.0, 0.0, -torch.inf, 0.0, 0.0]]), [torch.Generator().manual_seed(0)], 1.0)
    torch.testing.assert_close(drawn.entropies, torch.tensor(4.0).log()[None].double(), rtol=0, atol=1e-6)

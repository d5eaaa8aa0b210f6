import pytest
import torch
from tests.models.tiny_networks import CONFIGS, network, plain_logits, tokens
from torch.testing import assert_close

from springback.errors import RefusedError
from springback.models import decoding
from springback.models.generate import draw, sample, streams
from springback.models.prefix import Prefix

BEGINNING = tokens(9, 99)
PROMPTS = [BEGINNING + tokens(2 + i % 4, i) for i in range(9)]
STOP = frozenset(range(5, 12))


def by_hand(built, prompt, generator, most):
    """No cache, no batch, no padding: the whole text again for each token."""
    ids, logits = [], []
    for _ in range(most):
        logits.append(plain_logits(built, (*prompt, *ids))[-1])
        mass = logits[-1].float().softmax(-1).double().cumsum(-1)
        uniform = torch.rand((), generator=generator, dtype=torch.float64)
        ids.append(next(token for token in range(97) if mass[token] > uniform * mass[-1]))
        if ids[-1] in STOP:
            break
    return tuple(ids), torch.stack(logits)


@pytest.mark.parametrize("name", CONFIGS)
def test_cached_and_batched_is_uncached_and_alone(name):
    built = network(name)
    found = sample(built, PROMPTS, max_new_tokens=10, stop=STOP, generators=streams(0, 9), keep_logits=True)
    for prompt, one, generator in zip(PROMPTS, found, streams(0, 9), strict=True):
        ids, logits = by_hand(built, prompt, generator, 10)
        assert one.ids == ids
        assert one.ended == (ids[-1] in STOP)
        assert_close(one.logits, logits, rtol=0, atol=1e-5)
    assert 0 < sum(one.ended for one in found) < 9


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3 (window 6)"])
def test_without_a_shared_beginning_the_same_is_written(name, monkeypatch):
    built = network(name)
    shared = sample(built, PROMPTS, max_new_tokens=6, stop=STOP, generators=streams(1, 9))
    monkeypatch.setattr(decoding, "shared", lambda *_args, **_options: Prefix())
    assert sample(built, PROMPTS, max_new_tokens=6, stop=STOP, generators=streams(1, 9)) == shared


def test_a_sample_depends_on_its_own_generator_alone():
    built = network("llama")
    together = sample(built, PROMPTS, max_new_tokens=8, stop=STOP, generators=streams(3, 9))
    (alone,) = sample(built, PROMPTS[4:5], max_new_tokens=8, stop=STOP, generators=streams(3, 9)[4:5])
    backwards = sample(built, PROMPTS[::-1], max_new_tokens=8, stop=STOP, generators=streams(3, 9)[::-1])
    assert together[4] == alone
    assert backwards == together[::-1]


def test_small_batches_write_what_one_batch_writes(monkeypatch):
    built = network("llama")
    whole = sample(built, PROMPTS, max_new_tokens=8, stop=STOP, generators=streams(3, 9))
    monkeypatch.setattr(decoding, "BATCH_TOKENS", 50)
    assert sample(built, PROMPTS, max_new_tokens=8, stop=STOP, generators=streams(3, 9)) == whole


def test_the_generation_config_of_the_model_is_not_read():
    built = network("llama")
    before = sample(built, PROMPTS, max_new_tokens=8, stop=STOP, generators=streams(0, 9))
    built.generation_config.update(temperature=0.01, top_k=1, repetition_penalty=9.0, do_sample=False, max_length=3)
    assert sample(built, PROMPTS, max_new_tokens=8, stop=STOP, generators=streams(0, 9)) == before


def test_temperature_zero_takes_the_likeliest_token():
    built = network("llama")
    (found,) = sample(built, [BEGINNING], max_new_tokens=3, stop=frozenset(), temperature=0.0)
    assert found.ids[0] == int(plain_logits(built, BEGINNING)[-1].argmax())
    assert len(found.ids) == 3
    assert not found.ended


def test_tokens_come_as_often_as_their_probability_says():
    logits = torch.tensor([[0.5, 0.25, 0.0, 0.25]]).log().expand(4000, -1)
    generator = torch.Generator().manual_seed(0)
    drawn = draw(logits, torch.rand(4000, generator=generator, dtype=torch.float64), 1.0)
    shares = [drawn.count(token) / 4000 for token in range(4)]
    assert shares == pytest.approx([0.5, 0.25, 0, 0.25], abs=0.03)
    assert shares[2] == 0


def test_the_ends_of_the_unit_interval_are_tokens_that_can_occur():
    logits = torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]]).expand(2, -1)
    assert draw(logits, torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64), 1.0) == [1, 2]


def test_temperature_sharpens():
    logits = torch.tensor([[0.0, 1.0]]).expand(1000, -1)
    uniforms = torch.linspace(0, 0.999, 1000, dtype=torch.float64)
    assert sum(draw(logits, uniforms, 0.5)) == pytest.approx(1000 / (1 + torch.tensor(-2.0).exp()), abs=2)


def test_streams_differ_between_prompts_and_between_seeds_and_repeat():
    first = [float(torch.rand((), generator=one)) for one in [*streams(0, 50), *streams(1, 50), *streams(2**40, 50)]]
    again = [float(torch.rand((), generator=one)) for one in streams(0, 60)]
    assert len(set(first)) == 150
    assert again[:50] == first[:50]


def test_logits_that_are_no_numbers_are_not_sampled_from():
    with pytest.raises(ValueError, match="not finite"):
        draw(torch.full((1, 3), torch.nan), torch.zeros(1, dtype=torch.float64), 1.0)


def test_generators_and_prompts_must_match():
    with pytest.raises(ValueError, match="one generator for each prompt"):
        sample(network("llama"), PROMPTS, max_new_tokens=2, stop=STOP, generators=streams(0, 3))


def test_an_answer_that_could_pass_the_context_is_refused():
    with pytest.raises(RefusedError, match=r"Prompt 0 .* context of 128"):
        sample(network("llama"), [tokens(120, 0)], max_new_tokens=9, stop=STOP, generators=streams(0, 1))

import pytest
import torch
from tests.models.tiny_networks import network, tokens
from torch.testing import assert_close
from transformers.cache_utils import DynamicCache, StaticCache

from springback.models.cache import cut, holds, repeat, select, unfit

LONG = ["llama", "gpt2", "qwen2"]
WINDOWED = ["gemma3 (window 6)", "mistral (window 6)"]


def after(built, ids, cache=None):
    cache = cache or DynamicCache(config=built.config)
    past = cache.get_seq_length()
    with torch.no_grad():
        positions = torch.arange(past, past + ids.shape[1])[None].expand(len(ids), -1)
        out = built(ids, past_key_values=cache, position_ids=positions, use_cache=True)
    return out.logits, cache


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("length", [0, 1, 7, 12])
def test_cut_and_continued_is_as_if_never_cut(name, length):
    built, ids, other = network(name), torch.tensor([tokens(12, 0)]), torch.tensor([tokens(5, 1)])
    _, cache = after(built, ids)
    found, _ = after(built, other, cut(cache, length))
    expected, _ = after(built, torch.cat([ids[:, :length], other], dim=1))
    assert_close(found, expected[:, length:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", LONG)
def test_the_cache_that_was_cut_is_left_as_it_was(name):
    built, ids, other = network(name), torch.tensor([tokens(12, 0)]), torch.tensor([tokens(5, 1)])
    _, cache = after(built, ids)
    after(built, other, cut(cache, 3))
    after(built, other.expand(2, -1), repeat(cut(cache, 4), 2))
    found, _ = after(built, other, cache)
    assert_close(found, after(built, torch.cat([ids, other], dim=1))[0][:, 12:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", LONG + WINDOWED)
def test_repeated_rows_continue_as_each_would_alone(name):
    built, ids = network(name), torch.tensor([tokens(9, 0)])
    others = torch.tensor([tokens(5, 1), tokens(5, 2), tokens(5, 3)])
    _, cache = after(built, ids)
    found, _ = after(built, others, repeat(cache, 3))
    expected, _ = after(built, torch.cat([ids.expand(3, -1), others], dim=1))
    assert_close(found, expected[:, 9:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", LONG + WINDOWED)
def test_selected_rows_continue_as_if_the_others_had_never_been(name):
    built, ids = network(name), torch.tensor([tokens(9, 0), tokens(9, 1), tokens(9, 2)])
    _, cache = after(built, ids)
    other, kept = torch.tensor([tokens(2, 5), tokens(2, 6)]), torch.tensor([2, 0])
    found, _ = after(built, other, select(cache, kept))
    assert_close(found, after(built, torch.cat([ids[kept], other], dim=1))[0][:, 9:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", WINDOWED)
def test_a_window_can_be_cut_back_until_it_has_dropped_something(name):
    built, ids, other = network(name), torch.tensor([tokens(5, 0)]), torch.tensor([tokens(9, 1)])
    _, cache = after(built, ids)
    found, _ = after(built, other, cut(cache, 2))
    assert_close(found, after(built, torch.cat([ids[:, :2], other], dim=1))[0][:, 2:], rtol=0, atol=1e-5)
    _, longer = after(built, other, cache)
    with pytest.raises(ValueError, match="window of 6 tokens has dropped"):
        cut(longer, 3)


def test_more_than_is_held_cannot_be_kept():
    _, cache = after(network("llama"), torch.tensor([tokens(4, 0)]))
    with pytest.raises(ValueError, match="4 tokens cannot be cut to 5"):
        cut(cache, 5)


def test_caches_that_have_no_past_to_cut_are_refused():
    built = network("lfm2 (convolutions)")
    hybrid = DynamicCache(config=built.config)
    assert "LinearAttention" in str(unfit(hybrid))
    with pytest.raises(ValueError, match="cannot be taken apart"):
        repeat(hybrid, 2)
    assert "StaticLayer" in str(unfit(StaticCache(config=network("llama").config, max_cache_len=8)))
    assert "tuple" in str(unfit(()))


def test_a_cache_that_was_not_filled_does_not_hold():
    built = network("llama")
    assert not holds(DynamicCache(config=built.config), 3)
    _, cache = after(built, torch.tensor([tokens(3, 0)]))
    assert holds(cache, 3)
    assert not holds(cache, 4)

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.experiments.texts import silent
from tests.models.tiny_networks import CONFIGS, network, plain_logits, tokens

from springback.errors import RefusedError
from springback.experiments.compress.codec import decode_tokens, encode_tokens
from springback.experiments.compress.lockstep import (
    BLOCK_TOKENS,
    CACHED_TOKENS,
    MOST_BLOCKS,
    Layout,
    blocks_for,
    cut,
    walk,
)
from springback.experiments.compress.windows import spans

LAYOUTS = [
    Layout(tokens=20, blocks=1, window=64, stride=32, start=1),
    Layout(tokens=41, blocks=3, window=6, stride=2, start=1),
    Layout(tokens=23, blocks=4, window=5, stride=5, start=None),
    Layout(tokens=3, blocks=3, window=5, stride=5, start=None),
]


@given(st.integers(1, 500), st.integers(1, 50))
def test_blocks_hold_every_token_in_order_and_are_nearly_equal(count, blocks):
    layout = Layout(count, min(blocks, count), 8, 4, 1)
    found = cut(list(range(count)), layout)
    assert [token for block in found for token in block] == list(range(count))
    assert [len(block) for block in found] == sorted(layout.lengths(), reverse=True)
    assert max(map(len, found)) - min(map(len, found)) <= 1


def logits_asked_for(built, layout, ids):
    """What an encoder and a decoder are given: the logits of every step."""
    blocks, seen = [iter(block) for block in cut(ids, layout)], []

    def choose(logits):
        seen.append(logits.copy())
        return [next(block) for block in blocks[: len(logits)]]

    assert walk(built, layout, choose) == [list(block) for block in cut(ids, layout)]
    return seen


@pytest.mark.parametrize("name", [*CONFIGS])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_architecture_gives_its_tokens_back(name, layout):
    built, ids = network(name), tokens(layout.tokens, 5)
    code = encode_tokens(built, ids, layout, report=silent)
    assert code.within_bound
    assert code.bits > code.cross_entropy_bits - 1e-6
    assert decode_tokens(built, code.payload, layout, probe=code.probe, report=silent) == list(ids)


@pytest.mark.parametrize("name", [*CONFIGS])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_logits_are_those_of_each_block_and_window_alone(name, layout):
    built, ids = network(name), tokens(layout.tokens, 6)
    seen = logits_asked_for(built, layout, ids)
    start = [] if layout.start is None else [layout.start]
    longest = layout.lengths()[0] + len(start)
    for number, block in enumerate(cut(ids, layout)):
        whole = [*start, *block]
        if not start:
            assert np.ptp(seen[0][number]) == 0
        for context, first, upto in spans(longest, window=layout.window, stride=layout.stride):
            alone = plain_logits(built, whole[context:upto])
            for place in range(first, min(upto, len(whole))):
                found = torch.tensor(seen[place - len(start)][number])
                assert torch.allclose(found, alone[place - 1 - context], atol=2e-4)


def test_twice_the_same_walk_gives_bit_equal_logits():
    built, ids = network("llama"), tokens(41, 6)
    once, twice = (logits_asked_for(built, LAYOUTS[2], ids) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(once, twice, strict=True))


@settings(max_examples=15)
@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.booleans(), st.data())
def test_any_layout_gives_its_tokens_back(count, blocks, window, stride, started, data):
    layout = Layout(count, min(blocks, count), window, min(stride, window), 1 if started else None)
    ids = data.draw(st.lists(st.integers(0, 96), min_size=count, max_size=count))
    built = network("llama")
    code = encode_tokens(built, ids, layout, report=silent)
    assert code.within_bound
    assert decode_tokens(built, code.payload, layout, probe=code.probe, report=silent) == ids


def test_weights_that_differ_a_little_are_noticed_before_anything_is_decoded():
    built, ids, layout = network("llama"), tokens(60, 5), Layout(60, 2, 64, 32, 1)
    code, asked = encode_tokens(built, ids, layout, report=silent), []
    with torch.no_grad():
        built.lm_head.weight[3, 0] += 1e-4
    with pytest.raises(RefusedError, match="other logits"):
        decode_tokens(built, code.payload, layout, probe=code.probe, report=lambda *now: asked.append(now))
    assert len(asked) < 10


def test_bfloat16_gives_its_tokens_back():
    built, ids, layout = network("llama").bfloat16(), tokens(50, 5), Layout(50, 3, 8, 4, 1)
    code = encode_tokens(built, ids, layout, report=silent)
    assert decode_tokens(built, code.payload, layout, probe=code.probe, report=silent) == list(ids)


def test_the_number_of_blocks_follows_the_text_and_the_cache_is_bounded():
    assert [blocks_for(count, 1024) for count in (1, BLOCK_TOKENS, 2 * BLOCK_TOKENS, 10**7)] == [1, 1, 2, MOST_BLOCKS]
    for count in (10, 5_000, 30_000, 10**6):
        for window in (64, 1024, 8192, 10**6):
            blocks = blocks_for(count, window)
            assert blocks == 1 or blocks * min(window, -(-count // blocks)) <= CACHED_TOKENS + blocks

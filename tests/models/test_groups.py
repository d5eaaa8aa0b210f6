from dataclasses import replace

import pytest
import torch
import transformers as T
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.tiny_networks import CONFIGS, SHAPE, network
from torch.testing import assert_close

from springback.models import groups as grouping
from springback.models.group_attention import GroupMask
from springback.models.group_layout import layout, width_of
from springback.models.groups import apart, cheapest, grouped, together
from springback.models.packing import why_not
from springback.models.readout import read
from springback.models.rows import Row
from springback.tensors.seed import seeded

ROOM = [name for name in CONFIGS if "window" not in name]
SHARING = [name for name in ROOM if name not in ("bloom (no positions)", "lfm2 (convolutions)")]
EXACT = {"gpt2": 1e-12, "opt": 1e-12}
"""Norms in float64; the others take theirs in float32 whatever the dtype, and agree to its rounding."""
ROUNDED = 1e-6
_made = {}


def double(name):
    """One network of each kind in float64, kept: what was found out about it is kept with it."""
    if name not in _made:
        _made[name] = network(name).double()
    return _made[name]


def row(prompt, answer):
    return Row(tuple(prompt), tuple(answer), 1, 0)


def group(prompt, *answers):
    return [row(prompt, answer) for answer in answers]


SOME = [
    group([1, 5, 9, 7, 11], [7, 8, 2], [9, 2], [7, 8, 4, 4, 2]),
    group([6], [3, 2], [4]),
    group([1, 5, 9], [8, 8, 8, 2]),
]
token = st.integers(3, 96)
tokens = lambda least, most: st.lists(token, min_size=least, max_size=most)
trees = st.lists(
    st.builds(
        lambda prompt, answers: group(prompt, *answers), tokens(1, 9), st.lists(tokens(0, 6), min_size=1, max_size=4)
    ),
    min_size=1, max_size=3,
).filter(lambda found: any(row.answer for group in found for row in group))  # fmt: skip


def logits(made, inputs):
    return torch.cat(list(read(made, inputs.arguments, inputs.wanted).logits(64)))


def alone(made, groups):
    """The reference: every row by itself, the whole forward, a loop over the answer."""
    return [
        made(torch.tensor([row.prompt + row.answer]), use_cache=False).logits[0, len(row.prompt) - 1 : len(row) - 1]
        for group in groups
        for row in group
    ]


def gradient(made, values, weights):
    made.zero_grad()
    (values * weights).sum().backward()
    return {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}


def furthest(one, other):
    norm = torch.stack([tensor.norm() for tensor in other.values()]).norm()
    return max(((one[name] - other[name]).norm() / norm).item() for name in other)


@pytest.mark.parametrize("name", SHARING)
@pytest.mark.parametrize("way", ["one a group", "one for all"])
def test_logits_and_gradients_are_those_of_each_row_alone(name, way):
    made = double(name)
    bins = [[group] for group in SOME] if way == "one a group" else [SOME]
    expected = torch.cat(alone(made, SOME))
    found = logits(made, together(made, bins))
    assert_close(found, expected, rtol=0, atol=EXACT.get(name, ROUNDED) * expected.abs().max().item())
    weights = torch.linspace(-1, 1, expected.numel()).reshape(expected.shape).double()
    assert furthest(gradient(made, found, weights), gradient(made, expected, weights)) < EXACT.get(name, ROUNDED)


@settings(max_examples=30, deadline=None)
@given(trees)
def test_random_trees_of_groups_are_their_rows_alone(found):
    made = double("gpt2")
    expected = torch.cat(alone(made, found))
    for inputs in (together(made, [found]), grouped(made, found), apart(made, found), cheapest(made, found)):
        assert_close(logits(made, inputs), expected, rtol=0, atol=1e-12 * expected.abs().max().item())


@settings(max_examples=30, deadline=None)
@given(trees, st.data())
def test_changing_one_answer_leaves_every_other_row_bit_equal(found, data):
    made = double("gpt2")
    rows = [(g, r) for g, group in enumerate(found) for r, row in enumerate(group)]
    where = data.draw(st.sampled_from(rows))
    before = logits(made, together(made, [found])).split([len(found[g][r].answer) for g, r in rows])
    old = found[where[0]][where[1]]
    found[where[0]][where[1]] = row(old.prompt, [99 - one for one in old.answer])
    after = logits(made, together(made, [found])).split([len(found[g][r].answer) for g, r in rows])
    assert all(torch.equal(a, b) for a, b, place in zip(before, after, rows, strict=True) if place != where)


@pytest.mark.parametrize("name", ROOM)
def test_grouped_is_exact_in_every_architecture_whatever_way_it_takes(name):
    made = double(name)
    expected = torch.cat(alone(made, SOME))
    for way in (grouped, cheapest):
        inputs = way(made, SOME)
        assert (inputs.arguments["attention_mask"].ndim == 4) == (name in SHARING)
        assert_close(logits(made, inputs), expected, rtol=0, atol=ROUNDED * expected.abs().max().item())


def test_a_group_longer_than_the_window_is_padded():
    made = seeded_mistral(window=16)
    assert why_not(made) is None
    short, long = [group([1, 5], [7, 2], [8, 2])], [group(range(3, 17), [7, 2], [8, 2])]
    assert grouped(made, short).arguments["attention_mask"].ndim == 4
    assert grouped(made, long).arguments["attention_mask"].ndim == 2
    for groups in (short, long):
        assert_close(logits(made, grouped(made, groups)), torch.cat(alone(made, groups)), rtol=0, atol=ROUNDED)


def seeded_mistral(window):
    with seeded(0):
        return T.MistralForCausalLM(T.MistralConfig(**SHAPE, sliding_window=window)).double().eval()


def test_groups_share_a_batch_row_where_less_is_padding_as_far_as_the_network_reaches():
    made = double("llama")
    many = [group([1, *[5 + i] * size], [7, 2], [8, 8, 2]) for i, size in enumerate([60, 10, 20, 30, 40])]
    assert [width_of([each]) for each in many] == [65, 15, 25, 35, 45]
    assert grouped(made, many).arguments["input_ids"].shape == (5, 65)
    assert cheapest(made, many).arguments["input_ids"].shape == (2, 65 + 15 + 25)  # 128 is as far as it reaches
    assert_close(logits(made, cheapest(made, many)), torch.cat(alone(made, many)), rtol=0, atol=ROUNDED)


def test_without_blocks_answers_that_share_nothing_are_padded(monkeypatch):
    monkeypatch.setattr(grouping, "_by_blocks", lambda _network: 0)
    strangers = [group(range(3, 60), [7, 2]), group(range(4, 61), [9, 2])]
    assert cheapest(double("llama"), strangers).arguments["attention_mask"].ndim == 2


def test_k_answers_to_one_prompt_take_p_plus_k_r_places():
    ranked = group(range(3, 43), *[[7, 8, 9, 2]] * 10)
    assert width_of([ranked]) == 40 - 1 + 10 * 4


def test_positions_begin_again_behind_the_prompt_with_every_answer():
    placed = layout([[group([5, 6, 7], [8, 9], [8, 9, 4])]])
    assert placed.ids.tolist() == [[5, 6, 7, 8, 7, 8, 9]]
    assert placed.places.tolist() == [[0, 1, 2, 3, 2, 3, 4]]
    assert placed.wanted.tolist() == [[False, False, True, True, True, True, True]]
    assert placed.seen[0, 4].tolist() == [True, True, False, False, True, False, False]


def test_an_answer_without_tokens_has_no_wanted_position():
    made = double("llama")
    empty = [group([1, 5, 9], [], [7, 2]), group([4], [])]
    for inputs in (together(made, [empty]), apart(made, empty)):
        assert inputs.wanted.sum() == 2
        assert_close(logits(made, inputs), torch.cat(alone(made, empty)), rtol=0, atol=ROUNDED)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([], "at least one prompt"),
        ([[]], "group 0 must have rows"),
        ([SOME[0], [row([1], [2]), row([3], [2])]], "group 1 must have rows, all with the same prompt"),
        ([group([], [2])], "empty prompt"),
    ],
)
def test_what_is_no_group_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        grouped(double("llama"), wrong)


def test_a_network_in_which_blocks_would_differ_gets_the_plain_mask(monkeypatch):
    made = network("qwen2").double()
    monkeypatch.setattr(grouping, "CLOSE", {torch.float64: -1.0})
    inputs = together(made, [SOME])
    assert type(inputs.arguments["attention_mask"]) is torch.Tensor
    monkeypatch.undo()
    assert isinstance(together(double("qwen2"), [SOME]).arguments["attention_mask"], GroupMask)


def test_heads_of_keys_that_are_no_copies_are_attended_to_one_by_one(monkeypatch):
    made = network("qwen2").double()
    monkeypatch.setattr(made.config, "num_key_value_heads", 1)  # the configuration does not say how they are made
    assert together(made, [SOME]).arguments["attention_mask"].repeats == 1
    assert together(double("qwen2"), [SOME]).arguments["attention_mask"].repeats == 2


def test_in_float32_and_bfloat16_groups_stay_close_to_rows_alone():
    for dtype, bound in ((torch.float32, 1e-5), (torch.bfloat16, 3e-2)):
        made = network("llama").to(dtype)
        expected = torch.cat(alone(made, SOME)).float()
        apart_by = (logits(made, together(made, [SOME])).float() - expected).norm() / expected.norm()
        assert apart_by < bound


def test_blocks_are_judged_by_attention_alone_because_rounding_grows_from_layer_to_layer(monkeypatch):
    bound = 6e-3
    monkeypatch.setattr(grouping, "CLOSE", {torch.bfloat16: bound})
    made = network("llama").bfloat16()
    inputs = together(made, [SOME])
    mask = inputs.arguments["attention_mask"]
    assert isinstance(mask, GroupMask)
    under_the_mask = replace(inputs, arguments=inputs.arguments | {"attention_mask": mask + 0})
    by_blocks, plain = logits(made, inputs).float(), logits(made, under_the_mask).float()
    assert (by_blocks - plain).square().mean().sqrt() > bound * plain.std()

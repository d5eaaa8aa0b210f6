"""Predicted changes for real steps."""

import pytest
import torch
from tests.models.tiny_networks import tokens
from tests.train.entanglement.pairs import KNOWN, autograd, dot, network, pairs, shared

from springback.models.adapters import LoRA, attach
from springback.models.rows import Row
from springback.train.entanglement import inner_products
from springback.train.entanglement.cross import cross_products
from springback.train.entanglement.directional import directional, directional_by_parameter

ROWS = [row for each in pairs() for row in (each.chosen, each.rejected)]


def random_step(built, seed=0, size=1.0):
    draw = torch.Generator().manual_seed(seed)
    return {n: size * torch.randn(p.shape, generator=draw, dtype=p.dtype) for n, p in built.named_parameters()}


@pytest.mark.parametrize("name", [*KNOWN, "lfm2 (convolutions)"])
def test_it_is_the_whole_derivative_along_the_step_the_padding_row_s_too(name):
    built = network(name)
    step = random_step(built)
    found = directional(built, ROWS, step)
    for module in built.modules():
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None  # autograd leaves that row out although log π depends on it
    expected = torch.tensor([dot(autograd(built, row), step) for row in ROWS], dtype=torch.float64)
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_parts_sum_to_the_whole_and_the_plain_way_says_so():
    for name in ("gpt2", "lfm2 (convolutions)"):
        built = shared(name)
        step = random_step(built)
        found = directional_by_parameter(built, ROWS, step)
        assert (found.note is None) == (name == "gpt2")
        one = next(iter(step))
        alone = directional(built, ROWS, {one: step[one]})
        assert torch.allclose(found.parts[one], alone, atol=1e-9)
        assert torch.allclose(sum(found.parts.values()), found.whole)


def test_a_step_along_a_gradient_is_the_gram_form():
    built, each = shared("gpt2"), pairs()[0]
    gram = inner_products(built, [each]).pairs[0]
    along = directional(built, [each.chosen, each.rejected], autograd(built, each.chosen))
    assert along.tolist() == pytest.approx([gram.ww, gram.wl], rel=1e-10)


def test_small_real_steps_move_what_was_predicted():
    built = network("llama (tied, GQA)")
    step = random_step(built, size=1e-6)
    predicted, before = directional(built, ROWS[:4], step), [logprob(built, row) for row in ROWS[:4]]
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            parameter += step[name]
    measured = torch.tensor([logprob(built, row) - old for row, old in zip(ROWS, before, strict=False)])
    assert torch.allclose(measured.double(), predicted, rtol=2e-2, atol=1e-6)


@torch.no_grad()
def logprob(built, row):
    ids = torch.tensor([row.prompt + row.answer])
    logprobs = built(ids, use_cache=False).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])
    return float(logprobs[len(row.prompt) - 1 :].sum())


def test_on_a_log_linear_model_the_measured_change_is_never_above_the_predicted_one():
    # The head alone moves: log π is concave in it, so the tangent lies above, for steps of every size and direction.
    built = network("qwen2")
    rows = [Row(tokens(4, seed), tokens(5, seed + 50), 1, 0) for seed in range(6)]
    before = torch.tensor([logprob(built, row) for row in rows]).double()
    weight = built.lm_head.weight
    for seed, size in enumerate((1e-3, 1e-1, 1.0, 10.0)):
        step = size * torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed), dtype=weight.dtype)
        predicted = directional(built, rows, {"lm_head.weight": step})
        with torch.no_grad():
            weight += step
        after = torch.tensor([logprob(built, row) for row in rows]).double()
        with torch.no_grad():
            weight -= step
        assert bool((after - before <= predicted + 1e-9).all())
        assert bool((after - before < predicted).any())


@pytest.mark.filterwarnings("ignore:fan_in_fan_out")
def test_an_adapter_s_step_is_followed_through_its_factors():
    built = network("gpt2")
    names = attach(built, LoRA(rank=4))
    with torch.no_grad():
        for name in names:
            built.get_parameter(name).normal_(generator=torch.Generator().manual_seed(1)).mul_(0.1)
    step = {name: torch.full_like(built.get_parameter(name), 1e-3) for name in names}
    found = directional(built, ROWS[:2], step)
    expected = [dot(autograd(built, row, names), step) for row in ROWS[:2]]
    assert found.tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("step", [{}, {"nobody": torch.zeros(2)}, {"transformer.wte.weight": torch.zeros(2)}])
def test_a_step_of_another_network_is_refused(step):
    with pytest.raises(ValueError, match="names parameters and has their shapes"):
        directional(shared("gpt2"), ROWS, step)


@pytest.mark.parametrize("name", ["gpt2", "llama (tied, GQA)", "lfm2 (convolutions)"])
def test_cross_products_hold_every_pair_s_own_and_are_symmetric(name):
    built = shared(name)
    found, own = cross_products(built, pairs()), inner_products(built, pairs()).pairs
    gram, count = found.whole, len(own)
    assert (found.note is None) == (name != "lfm2 (convolutions)")
    assert torch.allclose(gram, gram.T)
    for index, each in enumerate(own):
        two = gram[[index, count + index]][:, [index, count + index]]
        expected = torch.tensor([[each.ww, each.wl], [each.wl, each.ll]], dtype=torch.float64)
        assert torch.allclose(two, expected, rtol=1e-5, atol=1e-6)
    w, other = autograd(built, pairs()[0].chosen), autograd(built, pairs()[1].rejected)
    assert float(gram[0, count + 1]) == pytest.approx(dot(w, other), rel=1e-6)

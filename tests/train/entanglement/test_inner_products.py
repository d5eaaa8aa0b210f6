"""The quick inner products against autograd, the plain way against autograd, and what is refused or handed back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.tiny_networks import tokens
from tests.train.entanglement.pairs import KNOWN, autograd, dot, network, pair, pairs, shared

from springback.errors import RefusedError
from springback.models.adapters import LoRA, attach
from springback.train.entanglement import inner_products

FEW = ["gpt2", "llama (tied, GQA)", "phi (head with bias)"]
ROUNDED = ("gemma2 (capped logits, window 6)", "gemma3 (window 6)")


def close(name, dtype):
    """Norms of most decoders compute in float32, so float64 is not exact everywhere."""
    if dtype == torch.float32:
        return 1e-5
    return 1e-8 if name in ROUNDED else 1e-12


def apart(found, expected):
    """Largest difference of any parameter's product, relative to ‖g_w‖‖g_l‖ of the pair."""
    worst = 0.0
    for one, other in zip(found, expected, strict=True):
        scale = max((other.ww * other.ll) ** 0.5, other.ww, other.ll, 1e-30)
        for a, b in ((one.parts, other.parts), (one.rest_parts, other.rest_parts)):
            for name in {*a, *b}:
                both = zip(a.get(name, (0, 0, 0)), b.get(name, (0, 0, 0)), strict=True)
                worst = max(worst, *(abs(x - y) / scale for x, y in both))
        worst = max(worst, abs(one.prefix_square - other.prefix_square) / scale)
    return worst


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, torch.float64) for name in KNOWN), *((name, torch.float32) for name in FEW)]
)
def test_the_quick_way_is_the_plain_one_in_every_parameter(name, dtype):
    built = shared(name, dtype)
    quick, plain = (inner_products(built, pairs(), method=method) for method in ("ghost", "plain"))
    assert quick.note is None
    assert apart(quick.pairs, plain.pairs) < close(name, dtype)


@pytest.mark.parametrize("name", ["gpt2", "llama (tied, GQA)", "lfm2 (convolutions)"])
def test_the_plain_way_is_autograd_over_unpadded_rows(name):
    built = shared(name)
    for each, found in zip(pairs(), inner_products(built, pairs(), method="plain").pairs, strict=True):
        w, v = autograd(built, each.chosen), autograd(built, each.rejected)
        expected = dot(w, w), dot(v, v), dot(w, v)
        assert torch.allclose(torch.tensor(found.whole), torch.tensor(expected), rtol=1e-6)


@pytest.mark.parametrize("name", ["mixtral (experts)", "lfm2 (convolutions)"])
def test_a_module_that_is_not_known_sends_the_whole_network_the_plain_way_and_is_named(name):
    built = shared(name, torch.float32)
    found, plain = inner_products(built, pairs()), inner_products(built, pairs(), method="plain")
    assert found.note is not None
    assert "Router" in found.note or "Conv1d" in found.note
    assert found.pairs == plain.pairs


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 9), st.integers(0, 6), st.sampled_from(KNOWN[:3]))
def test_random_pairs_whatever_their_lengths(seed, chosen, rejected, alike, name):
    built = shared(name)
    begin = tokens(alike, seed)
    made = [pair(tokens(1 + seed % 5, seed + 1), begin + tokens(chosen, seed + 2), begin + tokens(rejected, seed + 3))]
    quick, plain = (inner_products(built, [*made, *pairs()[:1]], method=method) for method in ("ghost", "plain"))
    assert quick.note is None
    assert apart(quick.pairs, plain.pairs) < 1e-9


def test_neighbours_and_their_order_change_nothing():
    built = shared("gpt2")
    together = inner_products(built, pairs()).pairs
    alone = [inner_products(built, [each]).pairs[0] for each in pairs()]
    backwards = inner_products(built, pairs()[::-1]).pairs[::-1]
    assert apart(together, alone) < 1e-12
    assert apart(together, backwards) < 1e-12


def test_batches_are_cut_without_cutting_a_pair(monkeypatch):
    built = shared("gpt2")
    whole = inner_products(built, pairs()).pairs
    monkeypatch.setattr("springback.train.entanglement.ghost.BATCH_TOKENS", 20)
    assert apart(inner_products(built, pairs()).pairs, whole) < 1e-12


def test_log_probabilities_are_those_of_scoring():
    from springback.models.score import token_logprobs

    built = shared("llama (tied, GQA)", torch.float32)
    found = inner_products(built, pairs()[:2]).pairs
    for each, gram in zip(pairs(), found, strict=False):
        expected = [float(values.sum()) for values in token_logprobs(built, [each.chosen, each.rejected])]
        assert gram.logprobs == pytest.approx(expected, abs=1e-4)


def test_without_the_common_prefix_is_the_gradient_of_the_other_tokens():
    built = shared("gpt2")
    each = pairs()[1]
    gram = inner_products(built, [each]).pairs[0]
    prefix = autograd(built, type(each.chosen)(each.chosen.prompt, each.chosen.answer[:3], 0, 0))
    rest = [
        {name: whole[name] - prefix[name] for name in whole}
        for whole in (autograd(built, each.chosen), autograd(built, each.rejected))
    ]
    assert gram.prefix_tokens == 3
    assert gram.prefix_square == pytest.approx(dot(prefix, prefix), rel=1e-9)
    assert gram.rest.wl == pytest.approx(dot(*rest), rel=1e-9)
    assert gram.rest.ww == pytest.approx(dot(rest[0], rest[0]), rel=1e-9)
    assert gram.wl - gram.rest.wl != pytest.approx(0, abs=1)


def test_identical_answers_have_one_gradient_and_nothing_behind_their_prefix():
    gram = inner_products(shared("gpt2"), pairs()[2:3]).pairs[0]
    assert gram.identical
    assert gram.ww == gram.ll == gram.wl == pytest.approx(gram.prefix_square)
    assert gram.rest == (0, 0, 0)


def test_products_are_those_of_a_gram_matrix():
    for gram in inner_products(shared("qwen2"), pairs()).pairs:
        for products in (gram.whole, gram.rest, *gram.parts.values()):
            assert products.wl**2 <= products.ww * products.ll * (1 + 1e-9) + 1e-20
            assert min(products.ww, products.ll) >= 0


@pytest.mark.parametrize("name", ["llama (tied, GQA)", "gpt2"])
@pytest.mark.filterwarnings("ignore:fan_in_fan_out")
def test_an_adapter_s_factors_count_and_the_frozen_base_does_not(name):
    built = network(name)
    names = attach(built, LoRA(rank=4))
    with torch.no_grad():
        for number, path in enumerate(names):
            built.get_parameter(path).normal_(generator=torch.Generator().manual_seed(number)).mul_(0.1)
    quick, plain = (inner_products(built, pairs(), method=method) for method in ("ghost", "plain"))
    assert quick.note is None
    assert set(quick.pairs[0].parts) == set(names)
    assert apart(quick.pairs, plain.pairs) < 1e-5
    w = autograd(built, pairs()[0].chosen, names)
    assert quick.pairs[0].ww == pytest.approx(dot(w, w), rel=1e-5)


def test_named_parameters_count_alone_and_nothing_else_is_touched():
    built = network("gpt2")
    built.requires_grad_(False)
    built.lm_head.weight.requires_grad_(True)
    built.lm_head.weight.grad = torch.ones_like(built.lm_head.weight)
    chosen = ["transformer.h.0.mlp.c_fc.weight", "transformer.ln_f.bias"]
    found = inner_products(built, pairs()[:1], parameters=chosen)
    assert set(found.pairs[0].parts) == set(chosen)
    everything = inner_products(built, pairs()[:1], parameters=[name for name, _ in built.named_parameters()])
    for name in chosen:
        assert found.pairs[0].parts[name] == pytest.approx(everything.pairs[0].parts[name], rel=1e-10)
    assert [name for name, p in built.named_parameters() if p.requires_grad] == ["transformer.wte.weight"]
    assert torch.equal(built.lm_head.weight.grad, torch.ones_like(built.lm_head.weight))
    assert not any(module._forward_hooks for module in built.modules())


def test_a_metric_weighs_every_element():
    built = shared("llama (tied, GQA)")
    draw = torch.Generator().manual_seed(3)
    metric = {n: torch.rand(p.shape, generator=draw, dtype=p.dtype) for n, p in built.named_parameters()}
    quick, plain = (inner_products(built, pairs(), method=m, metric=metric) for m in ("ghost", "plain"))
    assert quick.note is None
    assert apart(quick.pairs, plain.pairs) < 1e-9
    w, v = autograd(built, pairs()[0].chosen), autograd(built, pairs()[0].rejected)
    expected = sum(float((w[name] * metric[name] * v[name]).sum()) for name in w)
    assert quick.pairs[0].wl == pytest.approx(expected, rel=1e-6)


def test_bfloat16_comes_close():
    built = shared("llama (tied, GQA)", torch.bfloat16)
    quick, plain = (inner_products(built, pairs(), method=method) for method in ("ghost", "plain"))
    assert quick.note is None
    assert apart(quick.pairs, plain.pairs) < 0.02


def test_a_parameter_used_outside_its_module_is_found_out():
    class Twice(torch.nn.Module):
        """The stream is scaled by another layer's gain, which no call of that layer shows."""

        def __init__(self, inner, gain):
            super().__init__()
            self.inner = inner
            self.__dict__["gain"] = gain

        def forward(self, x):
            return self.inner(x) * (1 + self.gain.mean())

    built = network("llama (tied, GQA)")
    built.model.layers[0].mlp = Twice(built.model.layers[0].mlp, built.model.norm.weight)
    found = inner_products(built, pairs()[:1])
    assert found.note is not None
    assert "RMSNorm model.norm" in found.note
    w = autograd(built, pairs()[0].chosen)
    assert found.pairs[0].ww == pytest.approx(dot(w, w), rel=1e-6)


def test_training_mode_and_unreadable_pairs_are_refused():
    built = network("gpt2")
    with pytest.raises(RefusedError, match="0 prompt tokens"):
        inner_products(built, [pair((), (1, 2), (3,))])
    with pytest.raises(RefusedError, match="the model reads 128"):
        inner_products(built, [pair(tokens(100, 1), tokens(40, 2), (3,))])
    with pytest.raises(ValueError, match="No such parameter"):
        inner_products(built, pairs(), parameters=["transformer.wte.bias"])
    with pytest.raises(ValueError, match="No parameter requires"):
        inner_products(built.requires_grad_(False), pairs())
    built.train()
    with pytest.raises(RefusedError, match="without dropout"):
        inner_products(built, pairs())

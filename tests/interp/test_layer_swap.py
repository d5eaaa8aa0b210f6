"""The swap curve against a slow obvious implementation, and on a change planted in one layer."""

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM

from springback.errors import RefusedError
from springback.interp.layer_swap import RowPair, SwapCurve, recovered, residuals, swap_curve
from springback.models.layout import Layout
from springback.models.rows import Row
from springback.models.tiny import tiny

LAYERS = (0, 1, 2, 3)


def row(generator: torch.Generator, prompt: Sequence[int], answer: int) -> Row:
    ids = torch.randint(3, 60, (answer,), generator=generator).tolist()
    return Row(tuple(prompt), (*ids, 2), stop=1, answer_bytes=max(1, 3 * answer))


def matched_pairs(count: int, *, seed: int = 0) -> list[RowPair]:
    """Prompts of several lengths, one of a single token; answers of several lengths, one of the stop alone."""
    generator = torch.Generator().manual_seed(seed)
    pairs = []
    for index in range(count):
        prompt = torch.randint(3, 60, ((4 + 3 * index) % 8 + 2,), generator=generator).tolist()
        pairs.append(RowPair(row(generator, prompt, 1 + index % 5), row(generator, prompt, 6 - index % 4)))
    return pairs


def nudged(network: nn.Module, names: Sequence[str], *, size: float = 0.05) -> Any:
    """A copy in which the parameters whose name holds one of `names` were moved at random."""
    other, generator = deepcopy(network), torch.Generator().manual_seed(9)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            if any(part in name for part in names):
                parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return other


@torch.no_grad()
def slow_bits(network: Any, one: Row, layer: int | None, stream: torch.Tensor | None) -> float:
    """Code length of one row by one full forward with a plain hook; `stream` replaces what predicts the answer."""
    ids, first = torch.tensor([[*one.prompt, *one.answer]]), len(one.prompt) - 1

    def put(_module: nn.Module, _args: Any, output: torch.Tensor) -> torch.Tensor:
        changed = output.clone()
        changed[0, first:-1] = stream
        return changed

    handle = None if layer is None else network.model.layers[layer].register_forward_hook(put)
    logprobs = network(input_ids=ids).logits[0].double().log_softmax(-1)
    if handle:
        handle.remove()
    return -sum(logprobs[first + t, token].item() for t, token in enumerate(one.answer)) / math.log(2)


@torch.no_grad()
def slow_stream(network: Any, one: Row, layer: int) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    handle = network.model.layers[layer].register_forward_hook(lambda _m, _a, output: seen.append(output.clone()))
    network(input_ids=torch.tensor([[*one.prompt, *one.answer]]))
    handle.remove()
    return seen[0][0, len(one.prompt) - 1 : -1]


def slow_margin(host: Any, donor: Any, pair: RowPair, layer: int | None) -> float:
    rates = [
        slow_bits(host, one, layer, None if layer is None else slow_stream(donor, one, layer)) / (8 * one.answer_bytes)
        for one in (pair.opposite, pair.wanted)
    ]
    return rates[0] - rates[1]


def curve_of(host: Any, donor: Any, pairs: Sequence[RowPair], **options: Any) -> SwapCurve:
    given = residuals(donor, Layout.of(donor), pairs, LAYERS[: len(host.model.layers)], **options)
    generator = torch.Generator().manual_seed(1)
    return swap_curve(host, Layout.of(host), pairs, given, generator=generator, **options)


@pytest.fixture(scope="module")
def start() -> Any:
    return tiny(seed=1).network


@pytest.mark.parametrize("batch_tokens", [1024, 30])
def test_the_curve_equals_plain_hooks_on_whole_sequences_in_both_directions(start: Any, batch_tokens: int) -> None:
    aligned, pairs = nudged(start, ["layers"]), matched_pairs(4)
    for host, donor in ((aligned, start), (start, aligned)):
        curve = curve_of(host, donor, pairs, batch_tokens=batch_tokens)
        for place, pair in enumerate(pairs):
            assert curve.host[place].item() == pytest.approx(slow_margin(host, host, pair, None), abs=1e-5)
            assert curve.donor[place].item() == pytest.approx(slow_margin(donor, donor, pair, None), abs=1e-5)
            for layer in LAYERS:
                slow = slow_margin(host, donor, pair, layer)
                assert curve.swapped[layer, place].item() == pytest.approx(slow, abs=1e-5)


@pytest.mark.parametrize("window", [4, 64])
def test_the_curve_is_the_same_with_sliding_windows_capped_logits_and_without_a_cache(window: int) -> None:
    config = Gemma2Config(
        vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, head_dim=8,
        num_key_value_heads=2, max_position_embeddings=64, sliding_window=window, final_logit_softcapping=2.0,
        initializer_range=0.2,
    )  # fmt: skip
    host = Gemma2ForCausalLM(config).eval()
    donor, pairs = nudged(host, ["layers"]), matched_pairs(4)
    curve = curve_of(host, donor, pairs)
    for place, pair in enumerate(pairs):
        for layer in range(3):
            slow = slow_margin(host, donor, pair, layer)
            assert curve.swapped[layer, place].item() == pytest.approx(slow, abs=1e-5)


@pytest.mark.parametrize("name", ["bloom", "opt", "openai-gpt"])
def test_own_residuals_change_nothing_where_blocks_positions_or_caches_are_unusual(name: str) -> None:
    shape = {
        "hidden_size": 32,
        "n_embd": 32,
        "num_hidden_layers": 3,
        "n_layer": 3,
        "n_head": 4,
        "num_attention_heads": 4,
    }
    config = AutoConfig.for_model(
        name, vocab_size=61, **shape, **({"ffn_dim": 48, "word_embed_proj_dim": 32} if name == "opt" else {})
    )
    network = AutoModelForCausalLM.from_config(config).eval()
    pairs, layout = matched_pairs(4), Layout.of(network)
    given = residuals(network, layout, pairs, (0, 2))
    curve = swap_curve(network, layout, pairs, given, generator=torch.Generator().manual_seed(0))
    assert torch.equal(curve.swapped, curve.host.expand(2, -1))
    assert torch.equal(curve.host, curve.donor)


def test_a_copy_of_the_host_as_donor_changes_nothing_to_the_bit_and_its_share_is_not_measured(start: Any) -> None:
    curve = curve_of(start, deepcopy(start), matched_pairs(8))
    assert torch.equal(curve.swapped, curve.host.expand(4, -1))
    assert torch.equal(curve.placebo, curve.host.expand(4, -1))
    assert all(share.estimate is None and share.why for share in curve.recovered())


@pytest.mark.parametrize("changed", [0, 1, 2, 3])
def test_a_change_planted_in_one_layer_makes_the_curve_jump_there(start: Any, changed: int) -> None:
    """Before the changed layer the streams are the same; from it on the donor's carries its own margin."""
    pairs = matched_pairs(16)
    aligned = pushed(start, changed, pairs)
    curve = curve_of(start, aligned, pairs)
    shares = [share.estimate for share in curve.recovered()]
    assert shares[:changed] == pytest.approx([0.0] * changed, abs=1e-4)
    assert all(share is not None and share > 0.5 for share in shares[changed:])
    placebo = curve.recovered_by_placebo()[changed].estimate
    assert placebo is not None
    assert abs(placebo) < 0.5 < shares[changed]  # pyright: ignore[reportOptionalOperand]


def pushed(network: nn.Module, layer: int, pairs: Sequence[RowPair]) -> Any:
    """A copy in which one layer's output projection was moved until the wanted answers are likelier."""
    other: Any = deepcopy(network)
    weight = other.model.layers[layer].mlp.down_proj.weight.requires_grad_(True)
    optimiser = torch.optim.Adam([weight], lr=0.05)
    for _ in range(3):
        optimiser.zero_grad()
        loss = sum(nll(other, pair.wanted) - nll(other, pair.opposite) for pair in pairs)
        loss.backward()  # pyright: ignore
        optimiser.step()
    return other.requires_grad_(False)


def nll(network: Any, one: Row) -> torch.Tensor:
    ids = torch.tensor([[*one.prompt, *one.answer]])
    logits = network(input_ids=ids, use_cache=False).logits[0, len(one.prompt) - 1 : -1]
    return nn.functional.cross_entropy(logits, torch.tensor(one.answer), reduction="sum")


def test_the_placebo_moves_as_far_as_the_donor_at_every_position_and_not_elsewhere(start: Any) -> None:
    from springback.interp.layer_swap import _directions, _same_length

    generator = torch.Generator().manual_seed(2)
    own, given = torch.randn(3, 96, generator=generator), torch.randn(3, 96, generator=generator)
    steps = _directions(Row((3,), (4, 5, 2), 1, 2), 96, generator)
    moved = _same_length(own, given, steps)
    torch.testing.assert_close((moved - own).norm(dim=-1), (given - own).norm(dim=-1))
    torch.testing.assert_close(torch.cosine_similarity(moved - own, steps), torch.ones(3))


def test_the_placebo_depends_on_the_generator_alone_not_on_batches_or_layers(start: Any) -> None:
    aligned, pairs = nudged(start, ["layers"]), matched_pairs(5)
    layout = Layout.of(start)
    whole = curve_of(aligned, start, pairs)
    some = residuals(start, layout, pairs, (2,), batch_tokens=20)
    again = swap_curve(aligned, layout, pairs, some, generator=torch.Generator().manual_seed(1), batch_tokens=20)
    torch.testing.assert_close(again.placebo[0], whole.placebo[2], atol=1e-5, rtol=0)
    other = swap_curve(aligned, layout, pairs, some, generator=torch.Generator().manual_seed(8), batch_tokens=20)
    assert not torch.allclose(other.placebo[0], whole.placebo[2], atol=1e-5)
    torch.testing.assert_close(other.swapped[0], whole.swapped[2], atol=1e-5, rtol=0)


def test_the_recovered_share_is_a_ratio_of_means_with_a_paired_interval() -> None:
    host, donor = torch.linspace(0, 1, 40, dtype=torch.float64), torch.linspace(2, 3.5, 40, dtype=torch.float64)
    share = recovered(host + 0.25 * (donor - host), host, donor)
    assert (share.estimate, share.low, share.high) == pytest.approx((0.25, 0.25, 0.25))
    assert (share.n, share.over, share.unit) == (40, "pairs", "share")


def test_the_share_of_a_change_that_may_be_none_is_not_measured() -> None:
    generator = torch.Generator().manual_seed(0)
    host = torch.zeros(30, dtype=torch.float64)
    donor = torch.randn(30, dtype=torch.float64, generator=generator)
    donor -= donor.mean() - 0.01
    assert recovered(host + 0.1, host, donor).why is not None


def test_without_a_generator_there_is_no_placebo_and_the_curve_is_the_same(start: Any) -> None:
    pairs = matched_pairs(4)
    layout, donor = Layout.of(start), deepcopy(start)
    with torch.no_grad():
        donor.model.layers[1].mlp.down_proj.weight.mul_(1.5)
    given = residuals(donor, Layout.of(donor), pairs, (0, 1, 2))
    alone = swap_curve(start, layout, pairs, given, generator=None)
    beside = swap_curve(start, layout, pairs, given, generator=torch.Generator().manual_seed(0))
    assert alone.placebo is None
    assert torch.equal(alone.swapped, beside.swapped)
    assert all(share.why for share in alone.recovered_by_placebo())


def test_reading_a_curve_leaves_modes_gradients_and_logits_as_they_were_on_exceptions_too(start: Any) -> None:
    network, ids = deepcopy(start), torch.tensor([[5, 6, 7]])
    network.model.layers[1].train()
    before, pairs, layout = network(input_ids=ids).logits, matched_pairs(2), Layout.of(network)
    given = residuals(network, layout, pairs, (1, 2))
    calls = iter(range(2))  # the prompts' beginnings, the host itself; the first restart breaks
    handle = network.model.norm.register_forward_pre_hook(lambda *_: None if next(calls, None) is not None else 1 / 0)
    with pytest.raises(ZeroDivisionError) as kept:
        swap_curve(network, layout, pairs, given, generator=torch.Generator())
    handle.remove()
    assert kept.tb is not None  # the frames of the failure are still alive here
    assert torch.is_grad_enabled()
    assert [layer.training for layer in network.model.layers] == [False, True, False, False]
    assert torch.equal(network(input_ids=ids).logits, before)


def test_networks_of_another_size_and_other_pairs_are_refused(start: Any) -> None:
    pairs, layout = matched_pairs(3), Layout.of(start)
    small = tiny(seed=0, layers=2).network
    given = residuals(small, Layout.of(small), pairs, (0, 1))
    with pytest.raises(RefusedError, match="2 blocks"):
        swap_curve(start, layout, pairs, given, generator=torch.Generator())
    given = residuals(start, layout, matched_pairs(3, seed=4)[1:], (0, 1))
    with pytest.raises(ValueError, match="other pairs"):
        swap_curve(start, layout, pairs, given, generator=torch.Generator())
    with pytest.raises(ValueError, match="prompt"):
        residuals(start, layout, [RowPair(Row((), (2,), 1, 1), Row((3,), (2,), 1, 1))], (0,))

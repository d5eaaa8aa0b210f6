"""Capture, edit and restart on one tiny network."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from springback.models.hooks import capture, edit, restart
from springback.models.layout import Layout
from springback.models.tiny import tiny

IDS = torch.tensor([[5, 60, 7, 8, 90, 10], [11, 120, 13, 140, 15, 16]])


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return tiny(seed=3).network


@pytest.fixture(scope="module")
def layout(network: nn.Module) -> Layout:
    return Layout.of(network)


@pytest.fixture(autouse=True)
def untouched(network: nn.Module) -> Iterator[None]:
    """Every test of this file leaves the network bit-equal, without a hook and without a forward of its own."""
    before = logits(network)
    yield
    assert torch.equal(logits(network), before)
    assert not any(m._forward_hooks or m._forward_pre_hooks or "forward" in m.__dict__ for m in network.modules())


@torch.no_grad()
def logits(network: nn.Module, ids: torch.Tensor = IDS) -> torch.Tensor:
    return network(input_ids=ids, use_cache=False).logits


def test_only_the_asked_positions_are_kept(network: nn.Module, layout: Layout) -> None:
    with capture(network, layout, [1]) as whole:
        logits(network)
    for positions in (slice(2, 4), torch.tensor([5, 0])):
        with capture(network, layout, [1], positions) as some:
            logits(network)
        assert torch.equal(some[1], whole[1][:, positions])
        assert some[1].untyped_storage().nbytes() == some[1].numel() * 4


def test_a_capture_is_a_clone_that_later_in_place_changes_do_not_reach(network: nn.Module, layout: Layout) -> None:
    with capture(network, layout, [0]) as before, edit(network, layout, {0: lambda h: h.add_(7)}):
        logits(network)
    with capture(network, layout, [0]) as plain:
        logits(network)
    assert torch.equal(before[0], plain[0])


def test_contexts_act_in_the_order_in_which_they_were_entered(network: nn.Module, layout: Layout) -> None:
    with (
        capture(network, layout, [0]) as first,
        edit(network, layout, {0: lambda h: h * 2}),
        edit(network, layout, {0: lambda h: h + 1}),
        capture(network, layout, [0]) as last,
    ):
        logits(network)
    assert torch.equal(last[0], first[0] * 2 + 1)


def test_an_edit_reaches_everything_after_its_block_and_nothing_before_it(network: nn.Module, layout: Layout) -> None:
    with capture(network, layout, range(4)) as plain:
        logits(network)
    with edit(network, layout, {1: lambda h: h + 1}), capture(network, layout, range(4)) as edited:
        logits(network)
    assert torch.equal(edited[0], plain[0])
    assert torch.equal(edited[1], plain[1] + 1)
    assert not torch.equal(edited[2], plain[2])


def test_generating_with_a_cache_captures_what_a_forward_over_the_whole_text_captures(
    network: nn.Module, layout: Layout
) -> None:
    with capture(network, layout, [2]) as stepwise:
        text = network.generate(IDS, max_new_tokens=5, min_new_tokens=5, do_sample=False, pad_token_id=0)  # pyright: ignore
    with capture(network, layout, [2]) as whole:
        logits(network, text[:, :-1])
    assert stepwise[2].shape == (2, 10, 96)
    torch.testing.assert_close(stepwise[2], whole[2], atol=1e-5, rtol=1e-5)


def test_generating_under_an_edit_is_decoding_the_edited_network(network: nn.Module, layout: Layout) -> None:
    step = torch.linspace(-1, 1, 96)
    with edit(network, layout, {1: lambda h: h + step}):
        text = network.generate(IDS, max_new_tokens=4, min_new_tokens=4, do_sample=False, pad_token_id=0)  # pyright: ignore
        again = IDS
        for _ in range(4):
            again = torch.cat([again, logits(network, again)[:, -1:, 3:].argmax(-1) + 3], dim=1)
    assert torch.equal(text, again)


def test_a_restart_does_not_compute_the_blocks_before_it(network: nn.Module, layout: Layout) -> None:
    with capture(network, layout, [2]) as captured:
        logits(network)
    ran: list[int] = []
    attention = [layout.block(network, layer).get_submodule("self_attn") for layer in range(4)]
    handles = [
        module.register_forward_hook(lambda *_, layer=layer: ran.append(layer))
        for layer, module in enumerate(attention)
    ]
    with restart(network, layout, 2, captured[2]):
        logits(network)
    for handle in handles:
        handle.remove()
    assert ran == [3]


def test_a_restart_takes_its_mask_from_the_inputs(network: nn.Module, layout: Layout) -> None:
    masked = {"input_ids": IDS, "attention_mask": torch.tensor([[0, 0, 1, 1, 1, 1], [1] * 6]), "use_cache": False}
    with torch.no_grad(), capture(network, layout, [0]) as captured:
        whole = network(**masked).logits
    with torch.no_grad(), restart(network, layout, 0, captured[0]):
        assert torch.equal(network(**masked).logits, whole)


def test_the_residual_that_a_restart_is_given_is_not_written_to(network: nn.Module, layout: Layout) -> None:
    given = torch.zeros(2, 6, 96)
    with restart(network, layout, 1, given), edit(network, layout, {1: lambda h: h.add_(1)}):
        logits(network)
    assert not given.any()


def test_restarts_nest_and_the_last_entered_decides(network: nn.Module, layout: Layout) -> None:
    with capture(network, layout, [1]) as captured:
        whole = logits(network)
    with restart(network, layout, 1, captured[1] * 0), restart(network, layout, 1, captured[1]):
        assert torch.equal(logits(network), whole)


def test_a_forward_that_was_set_on_a_block_is_put_back(network: nn.Module, layout: Layout) -> None:
    block = layout.block(network, 0)
    own = block.forward
    block.forward = own
    with restart(network, layout, 0, torch.zeros(2, 6, 96)):
        logits(network)
    assert block.__dict__.pop("forward") is own


def test_gradients_flow_through_a_capture(network: nn.Module, layout: Layout) -> None:
    start = torch.zeros(2, 6, 96, requires_grad=True)
    with edit(network, layout, {0: lambda h: h + start}), capture(network, layout, [2]) as captured:
        network(input_ids=IDS, use_cache=False)
    captured[2].sum().backward()
    assert start.grad is not None
    assert start.grad.abs().sum() > 0


@pytest.mark.parametrize("wrong", [lambda h: h[:, :2], lambda h: h.double()])
def test_an_edit_of_another_shape_or_dtype_is_an_error_that_names_the_block(
    network: nn.Module, layout: Layout, wrong: object
) -> None:
    with pytest.raises(ValueError, match="block 1"), edit(network, layout, {1: wrong}):  # pyright: ignore
        logits(network)


def test_a_residual_of_another_shape_cannot_be_restarted_from(network: nn.Module, layout: Layout) -> None:
    with pytest.raises(ValueError, match="restart from"), restart(network, layout, 1, torch.zeros(2, 5, 96)):
        logits(network)


@pytest.mark.parametrize("layer", [-1, 4])
def test_a_site_that_does_not_exist_is_an_error(network: nn.Module, layout: Layout, layer: int) -> None:
    with pytest.raises(ValueError, match="after block 0 … 3"), capture(network, layout, [0, layer]):
        pass
    with pytest.raises(ValueError, match="after block 0 … 3"), restart(network, layout, layer, torch.zeros(2, 6, 96)):
        pass


def test_reading_a_capture_in_which_nothing_ran_is_an_error(network: nn.Module, layout: Layout) -> None:
    with capture(network, layout, [1]) as captured, pytest.raises(ValueError, match="no forward ran"):
        captured[1]

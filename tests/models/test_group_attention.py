import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from springback.models import group_attention
from springback.models.group_attention import GroupMask
from springback.models.group_layout import blocks, layout
from springback.models.rows import Row

BINS = [
    [[Row(tuple(range(70)), (1,) * size, 1, 0) for size in (3, 40, 5, 90)], [Row((5, 6), (1, 2), 1, 0)]],
    [[Row(tuple(range(200)), (1,) * size, 1, 0) for size in (4, 20)]],
]


def additive(dtype=torch.float64):
    seen = layout(BINS).seen
    return torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)[:, None]


def inputs(dtype=torch.float64, heads=3):
    draw = torch.Generator().manual_seed(0)
    shape = (2, layout(BINS).ids.shape[1], heads, 8)
    return [torch.randn(shape, generator=draw, dtype=dtype).transpose(1, 2).requires_grad_() for _ in range(3)]


def real():
    """[batch, 1, time, 1]: what is not padding."""
    return (layout(BINS).group >= 0)[:, None, :, None]


def attended(given, mask, **options):
    out = F.scaled_dot_product_attention(*given, attn_mask=mask, **options)
    kept = torch.where(real(), out, 0)
    weights = torch.linspace(-1, 1, kept.numel(), dtype=kept.dtype).reshape(kept.shape)
    return kept, torch.autograd.grad((kept * weights).sum(), given)


@pytest.mark.parametrize("scale", [None, 0.7])
def test_attention_by_blocks_is_attention_under_the_mask(scale):
    given = inputs()
    expected, slopes = attended(given, additive(), scale=scale)
    found, found_slopes = attended(given, GroupMask.of(additive(), blocks(BINS)), scale=scale)
    assert_close(found, expected, rtol=0, atol=1e-13)
    for one, other in zip(found_slopes, slopes, strict=True):
        assert_close(one, other, rtol=0, atol=1e-13)


def test_in_bfloat16_blocks_are_nearer_to_float64_than_the_kernel_is():
    coarse = inputs(torch.bfloat16)
    exact, exact_slopes = attended([tensor.detach().double().requires_grad_() for tensor in coarse], additive())
    plain, plain_slopes = attended(coarse, additive(torch.bfloat16))
    found, found_slopes = attended(coarse, GroupMask.of(additive(torch.bfloat16), blocks(BINS)))
    for one, other, true in zip((found, *found_slopes), (plain, *plain_slopes), (exact, *exact_slopes), strict=True):
        assert one.dtype == torch.bfloat16
        assert (one - true).norm() <= 1.05 * (other - true).norm()


def test_blocks_hold_every_query_once_and_every_key_that_it_sees():
    placed = layout(BINS)
    covered = torch.zeros(placed.seen.shape, dtype=torch.int)
    for block in blocks(BINS):
        for keys in block.keys:
            covered[block.row, block.queries, keys] += 1
    assert covered.max() == 1
    assert bool((covered[placed.seen & (placed.group >= 0)[:, :, None]] == 1).all())


def test_blocks_of_many_answers_grow_with_their_number_and_not_its_square():
    def area(answers):
        return sum(block.area for block in blocks([[[Row((1,) * 128, (2,) * 64, 1, 0)] * answers]]))

    assert area(16) - area(8) == 8 * (area(2) - area(1))
    assert area(2) - area(1) == 64 * (127 + 64)


def test_copies_of_one_head_of_keys_are_attended_to_together():
    """Query heads 0, 1 and 2, 3 share a head of keys; gradients arrive at what the copies were made of."""
    query, key, value = inputs(heads=4)
    given = [query, key[:, :2].detach().requires_grad_(), value[:, :2].detach().requires_grad_()]

    def repeated(mask):
        copies = [given[0], *(tensor.repeat_interleave(2, 1) for tensor in given[1:])]
        kept = torch.where(real(), F.scaled_dot_product_attention(*copies, attn_mask=mask), 0)
        weights = torch.linspace(-1, 1, kept.numel(), dtype=kept.dtype).reshape(kept.shape)
        return kept, *torch.autograd.grad((kept * weights).sum(), given)

    for one, other in zip(repeated(GroupMask.of(additive(), blocks(BINS), 2)), repeated(additive()), strict=True):
        assert_close(one, other, rtol=0, atol=1e-13)


@pytest.mark.parametrize("options", [{"dropout_p": 0.5}, {"enable_gqa": True}])
def test_what_blocks_cannot_do_is_done_under_the_plain_mask(options, monkeypatch):
    monkeypatch.setattr(group_attention._Blocks, "apply", None)
    query, key, value = inputs(heads=4)
    key, value = (key[:, :2], value[:, :2]) if "enable_gqa" in options else (key, value)
    mask = GroupMask.of(additive(), blocks(BINS))
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, **options)
    assert type(out) is torch.Tensor


def test_everything_else_sees_a_plain_tensor():
    mask = GroupMask.of(additive(), blocks(BINS))
    assert mask[:, :, :, : mask.shape[-1]] is mask
    assert type(mask[:, :, :4]) is torch.Tensor
    assert type(mask + 1) is torch.Tensor
    assert torch.equal(mask + 0, additive())


def test_without_gradients_nothing_is_kept():
    with torch.no_grad():
        out = F.scaled_dot_product_attention(*inputs(), attn_mask=GroupMask.of(additive(), blocks(BINS)))
    assert out.grad_fn is None

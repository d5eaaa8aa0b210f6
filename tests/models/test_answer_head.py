import pytest
import torch
from torch import nn
from torch.testing import assert_close

from springback.models import answer_head
from springback.models.answer_head import Asked, terms
from springback.models.readout import Reading

VOCAB, WIDTH, ROWS = 11, 5, 7
PARTS = {
    "whole": (2**20, 2**20),
    "made again three rows at a time": (3 * VOCAB * 8, 2**20),
    "worked on two rows at a time": (2**20, 2 * VOCAB),
    "both": (3 * VOCAB * 8, 2 * VOCAB),
}


class Capped(nn.Module):
    """A head that is no plain linear map."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, states):
        return 3 * torch.tanh(self.linear(states) / 3)


def draw(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


def linear(bias=True, dtype=torch.float64, seed=0):
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(seed)
        return nn.Linear(WIDTH, VOCAB, bias=bias).to(dtype)


def asked(collision=True, reference=True, dtype=torch.float64):
    targets = torch.randint(VOCAB, (ROWS,), generator=torch.Generator().manual_seed(3))
    other = (
        Reading(draw(ROWS, WIDTH, 1).squeeze(-1).to(dtype), linear(seed=1, dtype=dtype), None) if reference else None
    )
    return Asked(targets, collision, other)


def obvious(head, states, given):
    """The reference: whole log-softmax, one line a term."""
    logprobs = head(states).double().log_softmax(-1)
    stated = given.reference.head(given.reference.states).double().log_softmax(-1)
    return (
        logprobs.gather(-1, given.targets[:, None]).squeeze(-1),
        logprobs.exp().square().sum(-1).log(),
        (stated.exp() * (stated - logprobs)).sum(-1),
    )


@pytest.fixture(params=list(PARTS))
def parts(request, monkeypatch):
    kept, worked = PARTS[request.param]
    monkeypatch.setattr(answer_head, "KEPT", kept)
    monkeypatch.setattr(answer_head, "WORKED", {"cpu": worked})
    monkeypatch.setattr(answer_head, "ROWS", max(1, min(512, kept // (VOCAB * 8))))


HEADS = {"bias": linear(), "no bias": linear(bias=False), "capped": Capped(linear()), "function": lambda x: 2 * x}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_terms_and_gradients_are_those_of_the_whole_log_softmax(head, parts):
    states, given = draw(ROWS, VOCAB if head is HEADS["function"] else WIDTH).requires_grad_(), asked()
    everything = [states, *(head.parameters() if isinstance(head, nn.Module) else [])]
    weights = [draw(ROWS, seed).sum(-1) for seed in (1, 2, 3)]

    def with_slopes(found):
        total = sum((weight * column).sum() for weight, column in zip(weights, found, strict=True))
        return *found, *torch.autograd.grad(total, everything)

    found, expected = with_slopes(terms(Reading(states, head, None), given)), with_slopes(obvious(head, states, given))
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_gradients_are_central_differences(parts):
    head, given = linear(), asked()
    states = draw(ROWS, WIDTH).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda states, *_: tuple(terms(Reading(states, head, None), given)), (states, head.weight, head.bias)
    )


@pytest.mark.parametrize("collision", [False, True])
@pytest.mark.parametrize("reference", [False, True])
def test_only_what_was_asked_for_is_there(collision, reference):
    found = terms(Reading(draw(ROWS, WIDTH), linear(), None), asked(collision, reference))
    assert (found.collision is not None, found.divergence is not None) == (collision, reference)


def test_the_gradient_of_cross_entropy_is_torchs(parts):
    head, given = linear(dtype=torch.float32), asked(collision=False, reference=False)
    states = draw(ROWS, WIDTH, 1).squeeze(-1).float().requires_grad_()
    found = torch.autograd.grad(-terms(Reading(states, head, None), given).logprob.sum(), [states, *head.parameters()])
    loss = nn.functional.cross_entropy(head(states), given.targets, reduction="sum")
    for one, other in zip(found, torch.autograd.grad(loss, [states, *head.parameters()]), strict=True):
        assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_graph_that_is_kept_gives_the_same_gradient_twice(parts):
    states = draw(ROWS, WIDTH).requires_grad_()
    total = terms(Reading(states, linear(), None), asked()).logprob.sum()
    first = torch.autograd.grad(total, states, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(total, states)[0])


def test_a_frozen_head_gets_no_gradient_and_its_states_get_theirs(parts):
    head = linear().requires_grad_(requires_grad=False)
    states = draw(ROWS, WIDTH).requires_grad_()
    terms(Reading(states, head, None), asked()).logprob.sum().backward()
    assert head.weight.grad is None
    expected = torch.autograd.grad(obvious(head, other := states.detach().requires_grad_(), asked())[0].sum(), other)[0]
    assert_close(states.grad, expected, rtol=1e-12, atol=1e-12)


def test_a_head_with_a_hook_is_called():
    head, calls = linear(), []
    head.register_forward_hook(lambda *_: calls.append(1))
    terms(Reading(draw(ROWS, WIDTH), head, None), asked())
    assert calls


def test_logits_that_are_there_already_are_read():
    head, states = linear(), draw(ROWS, WIDTH)
    given = asked()
    found = terms(Reading(head(states), None, None), given)
    for one, other in zip(found, obvious(head, states, given), strict=True):
        assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_in_bfloat16_log_softmax_is_in_float32_and_sums_are_in_float64():
    head, states = linear(dtype=torch.bfloat16), draw(ROWS, WIDTH, 1).squeeze(-1).bfloat16()
    given = asked(dtype=torch.bfloat16)
    found = terms(Reading(states, head, None), given)
    for one, other in zip(found, obvious(head, states, given), strict=True):
        assert one.dtype == torch.float64
        assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_weights_are_summed_over_parts_in_float32_in_a_bfloat16_head(monkeypatch):
    """512 rows in 512 parts: a bfloat16 sum of them would stop growing at 256 equal parts."""
    monkeypatch.setattr(answer_head, "KEPT", 1)
    head, states = linear(dtype=torch.bfloat16), torch.ones(512, WIDTH, dtype=torch.bfloat16)
    given = Asked(torch.zeros(512, dtype=torch.long))
    terms(Reading(states, head, None), given).logprob.sum().backward()
    coarse, head.weight.grad = head.weight.grad, None
    exact = head.double()
    terms(Reading(states.double(), exact, None), given).logprob.sum().backward()
    assert_close(coarse.double(), exact.weight.grad, rtol=0.02, atol=0.02 * exact.weight.grad.abs().max().item())


def test_logits_are_made_again_where_they_would_take_more_than_is_kept(monkeypatch):
    made = []
    linear_map = answer_head.F.linear
    monkeypatch.setattr(answer_head.F, "linear", lambda *args: made.append(len(args[0])) or linear_map(*args))
    states = draw(ROWS, WIDTH).requires_grad_()
    given = asked(reference=False)
    terms(Reading(states, head := linear(), None), given).logprob.sum().backward()
    assert made == [ROWS]
    monkeypatch.setattr(answer_head, "KEPT", 3 * VOCAB * 8)
    terms(Reading(states, head, None), given).logprob.sum().backward()
    assert made == [ROWS, 3, 3, 1, 3, 3, 1]


def test_extreme_logits_give_finite_terms_and_gradients():
    head = linear()
    states = (1e4 * draw(ROWS, WIDTH)).requires_grad_()
    found = terms(Reading(states, head, None), asked())
    sum(column.sum() for column in found).backward()
    assert all(torch.isfinite(tensor).all() for tensor in (*found, states.grad, head.weight.grad))

import pytest
import torch

from springback.tensors.given_gradients import with_gradients
from springback.tensors.inner_product import inner_product


def parameters():
    return [
        torch.nn.Parameter(torch.zeros(2)),
        torch.nn.Parameter(torch.zeros(3, 2)),
        torch.nn.Parameter(torch.zeros(1)),
    ]


def test_the_given_gradients_arrive_times_what_comes_from_above():
    one, two, none = parameters()
    given = [torch.tensor([1.0, 2.0]), torch.ones(3, 2), None]
    total = with_gradients(torch.tensor(7.0), [one, two, none], lambda: given)
    assert float(total) == 7.0
    (total * 3).backward()
    assert one.grad.tolist() == [3.0, 6.0]
    assert torch.equal(two.grad, torch.full((3, 2), 3.0))
    assert none.grad is None


def test_they_add_to_gradients_that_are_there():
    one = parameters()[0]
    for _ in range(2):
        with_gradients(torch.tensor(0.0), [one], lambda: [torch.tensor([1.0, 2.0])]).backward()
    assert one.grad.tolist() == [2.0, 4.0]


def test_nothing_is_computed_before_the_backward_pass_and_only_once():
    calls = []

    def gradients():
        calls.append(1)
        return [torch.zeros(2)]

    total = with_gradients(torch.tensor(0.0), parameters()[:1], gradients)
    assert calls == []
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="given once"):
        total.backward()
    assert calls == [1]


def test_what_cannot_be_deposited_is_refused():
    with pytest.raises(ValueError, match="no parameter requires"):
        with_gradients(torch.tensor(0.0), [torch.zeros(2)], lambda: [torch.zeros(2)])
    with pytest.raises(ValueError, match="parameter 0 has another shape"):
        with_gradients(torch.tensor(0.0), parameters()[:1], lambda: [torch.zeros(3)]).backward()


def test_a_long_inner_product_is_that_of_float64():
    draw = torch.Generator().manual_seed(0)
    one, other = (torch.randn(2**22 + 77, generator=draw) for _ in range(2))
    assert inner_product(one, other) == pytest.approx(float(one.double() @ other.double()), rel=1e-12)
    with pytest.raises(ValueError, match="equal shapes"):
        inner_product(one, other[1:])

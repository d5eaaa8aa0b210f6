import pytest
import torch

from springback.train.policy import aggregation as G

LOSS = torch.tensor([[1.0, 2.0, 3.0], [8.0, 50.0, 50.0]], dtype=torch.float64)
REAL = torch.tensor([[True, True, True], [True, False, False]])
BOTH = torch.tensor([True, True])


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (G.sequence_mean, (2 + 8) / 2),
        (G.token_mean, 14 / 4),
        (lambda *given: G.fixed_length(*given, tokens=10), 14 / 20),
        (G.sequence_sum, 14 / 2),
    ],
    ids=["GRPO", "DAPO", "Dr. GRPO", "RLOO"],
)
def test_the_mean_of_each_way_by_hand(way, value):
    found = way(LOSS, REAL, BOTH)
    assert float(found.total) / found.weight == pytest.approx(value)


@pytest.mark.parametrize("way", [G.sequence_mean, G.token_mean, G.sequence_sum], ids=lambda each: each.__name__)
def test_what_is_not_kept_is_in_neither_sum(way):
    found = way(LOSS, REAL, torch.tensor([True, False]))
    alone = way(LOSS[:1], REAL[:1], BOTH[:1])
    assert (float(found.total), found.weight) == (float(alone.total), alone.weight)


@pytest.mark.parametrize("way", [G.sequence_mean, G.token_mean, G.sequence_sum], ids=lambda each: each.__name__)
def test_unequal_micro_batches_add_up(way):
    whole, parts = way(LOSS, REAL, BOTH), [way(LOSS[i : i + 1], REAL[i : i + 1], BOTH[:1]) for i in (0, 1)]
    assert float(whole.total) == pytest.approx(sum(float(part.total) for part in parts))
    assert whole.weight == sum(part.weight for part in parts)


@pytest.mark.parametrize("way", [G.sequence_mean, G.token_mean, G.sequence_sum], ids=lambda each: each.__name__)
def test_what_stands_behind_the_end_has_no_gradient(way):
    loss = LOSS.clone().requires_grad_()
    way(loss, REAL, BOTH).total.backward()
    assert (loss.grad[~REAL] == 0).all()
    assert (loss.grad[REAL] > 0).all()

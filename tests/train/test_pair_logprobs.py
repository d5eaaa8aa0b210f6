import pytest
import torch
from tests.models.tiny_networks import CONFIGS, network
from torch.testing import assert_close

from springback.fit.loop import Fit, Summed, fit
from springback.fit.masters import MasterAdamW
from springback.models.adapters import LoRA, attach, start_view
from springback.models.rows import Row, RowPair
from springback.train.pair_logprobs import labelled_logprobs, list_logprobs, pair_logprobs
from springback.train.preference import DPO
from springback.train.preference.pairs import BothByToken

EVERYTHING = frozenset({"tokens", "collision", "divergence", "lengths"})
EXACT = {"gpt2": 1e-12, "opt": 1e-12}


def pair(prompt, chosen, rejected):
    return RowPair(Row(tuple(prompt), tuple(chosen), 1, 0), Row(tuple(prompt), tuple(rejected), 1, 0))


PAIRS = [
    pair([1, 5, 9, 7], [7, 8, 2], [9, 2]),
    pair([1, 5], [7, 8, 4, 4, 2], [3]),
    pair([6, 5, 4, 3, 8, 9], [11, 12, 2], [11, 13, 2]),
]


def logprobs(made, row):
    """The reference: [answer, vocab] of one row alone, by the whole forward."""
    logits = made(torch.tensor([row.prompt + row.answer]), use_cache=False).logits[0].double()
    return logits[len(row.prompt) - 1 : len(row) - 1].log_softmax(-1)


def obvious(made, row):
    return logprobs(made, row).gather(-1, torch.tensor(row.answer)[:, None]).squeeze(-1)


def gradient(made, total):
    made.zero_grad()
    total.backward()
    return torch.cat([p.grad.flatten() for p in made.parameters() if p.grad is not None])


@pytest.mark.parametrize("name", list(CONFIGS))
def test_a_loss_and_its_gradient_are_those_of_the_rows_alone(name):
    made = network(name).double()
    policy, weights = pair_logprobs(made, PAIRS), torch.tensor([0.3, -1.0, 0.7], dtype=torch.float64)
    chosen = torch.stack([obvious(made, each.chosen).sum() for each in PAIRS])
    rejected = torch.stack([obvious(made, each.rejected).sum() for each in PAIRS])
    bound = EXACT.get(name, 1e-6)
    assert_close(policy.chosen, chosen, rtol=bound, atol=0)
    assert_close(policy.rejected, rejected, rtol=bound, atol=0)
    found = gradient(made, (weights * (policy.chosen - 0.5 * policy.rejected)).sum())
    expected = gradient(made, (weights * (chosen - 0.5 * rejected)).sum())
    assert (found - expected).norm() < bound * expected.norm()


def test_every_need_is_filled_with_what_it_names():
    made, other = network("gpt2").double(), network("gpt2").double()
    with torch.no_grad():
        other.transformer.wte.weight.add_(0.3 * torch.linspace(-1, 1, 97)[:, None].double())
    found = pair_logprobs(made, PAIRS, EVERYTHING, reference=other)
    for index, each in enumerate(PAIRS):
        for side in ("chosen", "rejected"):
            row = getattr(each, side)
            ours, theirs, count = logprobs(made, row), logprobs(other, row), len(row.answer)
            assert getattr(found.lengths, side)[index] == count
            assert_close(getattr(found.by_token, side)[index, :count], obvious(made, row))
            assert bool((getattr(found.by_token, side)[index, count:] == 0).all())
            assert_close(getattr(found.collision, side)[index, :count], ours.exp().square().sum(-1).log())
            assert_close(getattr(found.divergence, side)[index], (theirs.exp() * (theirs - ours)).sum())


def test_the_divergence_carries_its_gradient_to_the_policy_only():
    made, other = network("gpt2").double(), network("gpt2").double()
    with torch.no_grad():
        other.transformer.wte.weight.mul_(0.5)
    found = pair_logprobs(made, PAIRS, EVERYTHING, reference=other)
    slope = gradient(made, found.divergence.chosen.sum() - found.collision.rejected.sum())
    expected = 0.0
    for each in PAIRS:
        ours, theirs = logprobs(made, each.chosen), logprobs(other, each.chosen).detach()
        expected = expected + (theirs.exp() * (theirs - ours)).sum()
        expected = expected - logprobs(made, each.rejected).exp().square().sum(-1).log().sum()
    assert_close(slope, gradient(made, expected), rtol=1e-10, atol=1e-10 * slope.norm().item())
    assert all(p.grad is None for p in other.parameters())


def test_what_is_not_needed_is_not_there():
    found = pair_logprobs(network("llama"), PAIRS)
    assert (found.by_token, found.collision, found.divergence) == (None, None, None)
    assert found.chosen.dtype == torch.float64
    assert found.lengths.chosen.tolist() == [3, 5, 3]


def test_a_pair_does_not_see_the_others_of_its_batch():
    made = network("gpt2").double()
    with torch.no_grad():
        together, turned = pair_logprobs(made, PAIRS), pair_logprobs(made, PAIRS[::-1])
        assert_close(together.chosen, turned.chosen.flip(0), rtol=1e-13, atol=0)
        for index, each in enumerate(PAIRS):
            assert_close(pair_logprobs(made, [each]).rejected[0], together.rejected[index], rtol=1e-13, atol=0)


def test_swapping_chosen_and_rejected_swaps_both_numbers():
    made = network("gpt2").double()
    with torch.no_grad():
        found = pair_logprobs(made, PAIRS)
        swapped = pair_logprobs(made, [RowPair(each.rejected, each.chosen) for each in PAIRS])
    assert_close(found.chosen, swapped.rejected, rtol=1e-13, atol=0)
    assert_close(found.rejected, swapped.chosen, rtol=1e-13, atol=0)


def test_token_weights_multiply_each_tokens_log_probability():
    made = network("gpt2").double()
    weights = BothByToken(torch.rand(3, 5).double(), torch.rand(3, 3).double())
    plain = pair_logprobs(made, PAIRS, EVERYTHING, reference=network("gpt2").double())
    found = pair_logprobs(made, PAIRS, EVERYTHING, token_weights=weights, reference=network("gpt2").double())
    assert_close(found.chosen, (plain.by_token.chosen * weights.chosen).sum(1))
    assert_close(found.rejected, (plain.by_token.rejected * weights.rejected).sum(1))
    assert_close(found.by_token.rejected, plain.by_token.rejected * weights.rejected)
    assert torch.equal(found.lengths.chosen, plain.lengths.chosen)


def test_token_weights_of_another_shape_are_refused():
    weights = BothByToken(torch.ones(3, 6), torch.ones(3, 3))
    with pytest.raises(ValueError, match="weights must be 3 × 5"):
        pair_logprobs(network("llama"), PAIRS, token_weights=weights)


def test_the_adapter_switched_off_is_the_reference_and_the_divergence_sees_it():
    made = network("llama")
    plain = pair_logprobs(network("llama"), PAIRS)
    attach(made, LoRA(rank=2))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "lora_B" in name:
                parameter.add_(0.2)
        with start_view(made):
            reference = pair_logprobs(made, PAIRS)
    policy = pair_logprobs(made, PAIRS, frozenset({"divergence"}), reference=made)
    assert torch.equal(reference.chosen, plain.chosen.detach())
    assert (policy.chosen - reference.chosen).abs().min() > 1e-3
    assert policy.divergence.chosen.min() > 1e-6
    DPO()(policy, reference).sum().backward()
    touched = {name for name, parameter in made.named_parameters() if parameter.grad is not None}
    assert touched
    assert all("lora" in name for name in touched)


@pytest.mark.parametrize("same", [True, False])
def test_a_divergence_from_nobody_is_refused(same):
    made = network("llama")
    with pytest.raises(ValueError, match="must be given a reference"):
        pair_logprobs(made, PAIRS, frozenset({"divergence"}), reference=made if same else None)


def test_an_empty_answer_has_log_probability_0_and_no_pairs_are_refused():
    made = network("llama")
    empty = [pair([1, 5, 9], [], [7, 2]), *PAIRS]
    found = pair_logprobs(made, empty, frozenset({"tokens"}))
    assert found.chosen[0] == 0
    assert found.lengths.chosen[0] == 0
    assert_close(found.chosen[1:], pair_logprobs(made, PAIRS).chosen, rtol=1e-5, atol=0)
    found.chosen.sum().backward()
    with pytest.raises(ValueError, match="at least one prompt"):
        pair_logprobs(made, [])


def test_a_batch_of_empty_answers_alone_is_zero_with_a_gradient_of_zero():
    made = network("llama")
    found = pair_logprobs(made, [pair([1, 5, 9], [], [])])
    (found.chosen + found.rejected).sum().backward()
    assert found.chosen.tolist() == [0]


def test_ranked_lists_of_unequal_length_are_filled_up():
    made = network("gpt2").double()
    groups = [[PAIRS[0].chosen, PAIRS[0].rejected, PAIRS[0].chosen], [PAIRS[1].rejected]]
    found = list_logprobs(made, groups, torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]]), frozenset({"lists"}))
    assert found.real.tolist() == [[True, True, True], [True, False, False]]
    assert found.tokens.tolist() == [[3, 2, 3], [1, 0, 0]]
    assert found.logprobs[1, 1:].tolist() == [0, 0]
    for group, numbers in zip(groups, found.logprobs, strict=True):
        for row, number in zip(group, numbers, strict=False):
            assert_close(number, obvious(made, row).sum(), rtol=1e-12, atol=0)


def test_labelled_answers_are_their_rows_alone_in_any_order():
    made = network("gpt2").double()
    rows = [PAIRS[0].chosen, PAIRS[0].rejected, PAIRS[1].chosen, PAIRS[0].chosen]
    found = labelled_logprobs(made, rows, torch.tensor([True, False, True, True]))
    assert found.tokens.tolist() == [3, 2, 5, 3]
    for row, number in zip(rows, found.logprob, strict=True):
        assert_close(number, obvious(made, row).sum(), rtol=1e-12, atol=0)


def test_dpo_on_the_one_loop_starts_at_log_2_and_raises_the_margin():
    made = network("llama").requires_grad_()
    with torch.no_grad():
        reference = pair_logprobs(made, PAIRS)

    def loss(batch):
        return Summed(DPO()(pair_logprobs(made, batch), reference).sum(), len(batch), 0)

    steps = list(fit(loss, [PAIRS] * 4, MasterAdamW(made), Fit(lr=1e-4)))
    assert steps[0].loss == pytest.approx(0.6931471805599453, abs=1e-12)
    assert steps[-1].loss < steps[1].loss < steps[0].loss

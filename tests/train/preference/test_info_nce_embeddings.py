"""Contrastive alignment of embeddings: the loss as a function of vectors, against sums written out and known values."""

import math

import pytest
import torch

from springback.errors import RefusedError
from springback.train.preference.choose import loss_named
from springback.train.preference.embeddings import Embeddings, States
from springback.train.preference.info_nce_embeddings import InfoNCEEmbeddings, InfoNCEEmbeddingsKL, info_nce
from springback.train.preference.pairs import Both, PairLogprobs

KINDS = [(anchor, negatives) for anchor in ("chosen", "prompt") for negatives in ("batch", "own")]


def drawn(seed=0, pairs=4, width=6):
    made = torch.Generator().manual_seed(seed)
    return Embeddings(*(torch.randn(pairs, width, dtype=torch.float64, generator=made) for _ in range(3)))


def seen(found, **more):
    zeros = torch.zeros(len(found.chosen), dtype=torch.float64)
    return PairLogprobs(zeros, zeros, Both(zeros + 1, zeros + 1), embeddings=found, **more)


def written_out(found, anchor, negatives, temperature):
    """Loops and exponentials, one pair at a time."""

    def cosine(one, other):
        return float(one @ other / (one.norm() * other.norm()))

    values = []
    for i in range(len(found.chosen)):
        z = found.chosen[i] if anchor == "chosen" else found.prompt[i]
        off = [j for j in range(len(found.chosen)) if negatives == "batch" or j == i]
        near = [j for j in range(len(found.chosen)) if (j != i if anchor == "chosen" else j == i)]
        pushed = sum(math.exp(cosine(z, found.rejected[j]) / temperature) for j in off)
        terms = []
        for j in near:
            pulled = math.exp(cosine(z, found.chosen[j]) / temperature)
            terms.append(-math.log(pulled / (pulled + pushed)))
        values.append(sum(terms) / len(terms))
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(("anchor", "negatives"), KINDS)
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_it_is_the_sum_written_out(anchor, negatives, temperature):
    found = drawn()
    loss = InfoNCEEmbeddings(anchor=anchor, negatives=negatives, temperature=temperature)(seen(found), None)
    torch.testing.assert_close(loss, written_out(found, anchor, negatives, temperature))


def test_at_the_corner_of_a_square_it_is_known():
    """Two pairs, chosen answers along x, rejected along y: cosine 1 with the other chosen one, 0 with both rejected."""
    x, y = torch.tensor([[1.0, 0.0]] * 2).double(), torch.tensor([[0.0, 1.0]] * 2).double()
    found = Embeddings(chosen=3 * x, rejected=5 * y, prompt=x)
    both, own = (InfoNCEEmbeddings(temperature=0.5, negatives=kind)(seen(found), None) for kind in ("batch", "own"))
    torch.testing.assert_close(both, torch.full((2,), math.log(1 + 2 * math.exp(-2))).double())
    torch.testing.assert_close(own, torch.full((2,), math.log(1 + math.exp(-2))).double())


@pytest.mark.parametrize(("anchor", "negatives"), KINDS)
def test_at_equal_similarities_it_is_the_log_of_what_stands_to_choose(anchor, negatives):
    same = torch.ones(3, 4, dtype=torch.float64)
    loss = InfoNCEEmbeddings(anchor=anchor, negatives=negatives)(seen(Embeddings(same, same, same)), None)
    torch.testing.assert_close(loss, torch.full((3,), math.log(4 if negatives == "batch" else 2)).double())


@pytest.mark.parametrize("negatives", ["batch", "own"])
def test_a_hot_temperature_forgets_the_similarities(negatives):
    loss = InfoNCEEmbeddings(temperature=1e9, negatives=negatives)(seen(drawn()), None)
    torch.testing.assert_close(loss, torch.full((4,), math.log(5 if negatives == "batch" else 2)).double())


def test_a_cold_temperature_looks_at_the_nearest_negative_only():
    found, cold = drawn(), 1e-4
    loss = InfoNCEEmbeddings(anchor="prompt", temperature=cold)(seen(found), None)
    unit = [torch.nn.functional.normalize(each, dim=-1) for each in (found.prompt, found.chosen, found.rejected)]
    nearest, own = (unit[0] @ unit[2].T).amax(dim=1), (unit[0] * unit[1]).sum(dim=1)
    torch.testing.assert_close(cold * loss, (nearest - own).clamp_min(0), atol=2e-4, rtol=0)


@pytest.mark.parametrize(("anchor", "negatives"), KINDS)
def test_neither_length_nor_axes_of_the_vectors_matter(anchor, negatives):
    found, method = drawn(), InfoNCEEmbeddings(anchor=anchor, negatives=negatives)
    turn, _ = torch.linalg.qr(drawn(7, pairs=6).chosen)
    turned = Embeddings(3 * found.chosen @ turn, 0.2 * found.rejected @ turn, 9 * found.prompt @ turn)
    torch.testing.assert_close(method(seen(turned), None), method(seen(found), None))


@pytest.mark.parametrize(("anchor", "negatives"), KINDS)
def test_the_order_of_the_pairs_does_not_matter(anchor, negatives):
    found, method, order = drawn(), InfoNCEEmbeddings(anchor=anchor, negatives=negatives), [2, 0, 3, 1]
    moved = Embeddings(found.chosen[order], found.rejected[order], found.prompt[order])
    torch.testing.assert_close(method(seen(moved), None), method(seen(found), None)[order])


@pytest.mark.parametrize(("anchor", "negatives"), KINDS)
def test_a_step_down_the_gradient_brings_chosen_answers_nearer_and_rejected_ones_off(anchor, negatives):
    leaves = [each.requires_grad_() for each in (drawn().chosen, drawn(1).rejected, drawn(2).prompt)]
    method = InfoNCEEmbeddings(anchor=anchor, negatives=negatives, temperature=1.0)
    before = method(seen(Embeddings(*leaves)), None)
    gradients = torch.autograd.grad(before.sum(), leaves, allow_unused=True)
    assert (gradients[2] is None or not bool(gradients[2].any())) == (anchor == "chosen")
    torch.autograd.gradcheck(lambda *each: method(seen(Embeddings(*each)), None), leaves)


def test_a_pair_without_another_has_no_contrast_and_no_gradient():
    leaves = [each.requires_grad_() for each in (drawn(pairs=1).chosen, drawn(1, 1).rejected, drawn(2, 1).prompt)]
    loss = InfoNCEEmbeddings()(seen(Embeddings(*leaves)), None)
    assert loss.tolist() == [0.0]
    assert all(each is None or not bool(each.any())
               for each in torch.autograd.grad(loss.sum(), leaves, allow_unused=True))  # fmt: skip
    assert InfoNCEEmbeddings().least_batch == 2


def test_the_likelihood_and_the_divergence_are_held_per_token():
    lengths = Both(torch.tensor([2.0, 4.0]).double(), torch.tensor([1.0, 8.0]).double())
    apart = Both(torch.tensor([0.4, 0.8]).double(), torch.tensor([0.3, 1.6]).double())
    found = drawn(pairs=2)
    policy = PairLogprobs(torch.tensor([-3.0, -8.0]).double(), torch.zeros(2).double(), lengths, divergence=apart,
                          embeddings=found)  # fmt: skip
    held = InfoNCEEmbeddingsKL(nll=2.0, kl=10.0)
    added = held(policy, None) - held.contrast(found)
    torch.testing.assert_close(added, torch.tensor([2 * 1.5 + 10 * 0.25, 2 * 2.0 + 10 * 0.2]).double())
    assert {"reference", "divergence"} <= held.needs
    assert "reference" not in InfoNCEEmbeddings(nll=2.0).needs


def test_huge_scores_stay_finite():
    true = torch.ones(2, 2, dtype=torch.bool)
    loss = info_nce(torch.full((2, 2), -1e4).double(), torch.full((2, 2), 1e4).double(), true, true)
    torch.testing.assert_close(loss, torch.full((2,), 2e4 + math.log(2)).double())


def test_an_answer_is_the_mean_of_its_own_states_or_the_last_of_them():
    states = torch.tensor([[100.0, 0.0], [1.0, 2.0], [3.0, 6.0]])  # the first is the prompt's
    assert States(0, "mean").of(states).tolist() == [2.0, 4.0]
    assert States(0, "last").of(states).tolist() == [3.0, 6.0]
    assert States(0, "mean").of(states[:1]).tolist() == [100.0, 0.0]


@pytest.mark.parametrize("words", ["temperature=0", "pool=max", "anchor=rejected", "negatives=none", "nll=-1", "kl=-1"])
def test_options_that_mean_nothing_are_refused_by_name(words):
    with pytest.raises(RefusedError, match=words.split("=")[0]):
        loss_named(f"info_nce_embeddings_kl:{words}")


def test_it_is_found_by_name_beside_the_family():
    found = loss_named("info-NCE-embeddings:layer=2,pool=last,temperature=0.5")
    assert found == InfoNCEEmbeddings(layer=2, pool="last", temperature=0.5)

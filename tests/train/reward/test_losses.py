"""Every reward loss against its known value, an obvious implementation and the laws of the family."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from springback.errors import RefusedError
from springback.train.reward import LOSSES
from springback.train.reward.centred import Centred
from springback.train.reward.choose import loss_named
from springback.train.reward.lambda_rank import LambdaRank, changes_of_ndcg, ranks
from springback.train.reward.margin import Margin
from springback.train.reward.plackett_luce import PlackettLuce
from springback.train.reward.rankings import Rankings

FAMILY = {name: kind() for name, kind in LOSSES.items()}
EVERY = pytest.mark.parametrize("name", FAMILY)
CONSTANT = "a constant added to a prompt's scores changes nothing"
ORDER = "the order of the answers does not matter"
PAIR = "two answers give Bradley-Terry"
EQUAL = "equal answers are left alone"


def answers(scores, relevance, *, margin=None, real=None, grad=False):
    """Lists of lists, or one list for one prompt."""
    scores, relevance = ([x] if not isinstance(x[0], list) else x for x in (scores, relevance))
    made = torch.tensor(scores, dtype=torch.float64, requires_grad=grad)
    said = None if margin is None else torch.tensor(margin, dtype=torch.float64)
    there = None if real is None else torch.tensor(real)
    return Rankings(made, torch.tensor(relevance, dtype=torch.float64), there, said)


def value(loss, *given, **more):
    return loss(answers(*given, **more)).tolist()


def gradient(loss, *given, **more):
    seen = answers(*given, **more, grad=True)
    return torch.autograd.grad(loss(seen).sum(), seen.scores)[0]


def drawn(seed, prompts=3, size=4, ties=False):
    generator = torch.Generator().manual_seed(seed)
    scores = (2 * torch.randn(prompts, size, generator=generator, dtype=torch.float64)).tolist()
    made = torch.randint(0, 3 if ties else 10**6, (prompts, size), generator=generator).double()
    made = made if ties else made / 10**5
    return scores, made.tolist()


# Known values: r = (1.2, .5, −.3), relevance 2, 1, 0.


@pytest.mark.parametrize(
    ("loss", "scores", "relevance", "expected"),
    [
        ("bradley_terry", [1.2, 0.5], [1, 0], 0.40318605),
        ("bradley_terry:centring=0.01", [1.2, 0.5], [1, 0], 0.43208605),
        ("plackett_luce", [1.2, 0.5, -0.3], [2, 1, 0], 0.91325952),
        ("list_mle", [1.2, 0.5, -0.3], [2, 1, 0], 0.91325952),
        ("rank_net", [1.2, 0.5, -0.3], [2, 1, 0], 0.32523333),
        ("bradley_terry", [1.2, 0.5, -0.3], [2, 1, 0], 0.32523333),
        ("lambda_rank", [1.2, 0.5, -0.3], [2, 1, 0], 0.17855371),
        ("list_net", [1.2, 0.5, -0.3], [2, 1, 0], 0.84851464),
    ],
)
def test_a_loss_has_its_known_value(loss, scores, relevance, expected):
    assert value(loss_named(loss), scores, relevance) == pytest.approx([expected], abs=1e-8)


def test_a_margin_of_one_half_has_its_known_value():
    assert value(Margin(), [1.2, 0.5], [1, 0], margin=[0.5]) == pytest.approx([0.59813887], abs=1e-8)
    assert value(Margin(scale=0.5), [1.2, 0.5], [1, 0], margin=[1.0]) == pytest.approx([0.59813887], abs=1e-8)


def test_the_changes_of_ndcg_are_those_of_the_exchange():
    found = changes_of_ndcg(answers([1.2, 0.5, -0.3], [2, 1, 0]))[0]
    assert found[0, 1].item() == pytest.approx(0.20329242, abs=1e-8)
    assert found[0, 2].item() == pytest.approx(0.41311733, abs=1e-8)
    assert found[1, 2].item() == pytest.approx(0.03605957, abs=1e-8)


# Obvious implementations.


def log_sigmoid(x):
    return -math.log1p(math.exp(-x))


def ndcg(order, relevance):
    gains = [2 ** relevance[i] - 1 for i in order]
    best = sorted(gains, reverse=True)
    return sum(g / math.log2(2 + k) for k, g in enumerate(gains)) / sum(
        g / math.log2(2 + k) for k, g in enumerate(best)
    )


def obvious(name, r, rel):
    n = len(r)
    pairs = [(i, j) for i in range(n) for j in range(n) if rel[i] > rel[j]]
    ties = [(i, j) for i in range(n) for j in range(i) if rel[i] == rel[j]]
    if name == "bradley_terry":
        return sum(-log_sigmoid(r[i] - r[j]) for i, j in pairs) / max(1, len(pairs))
    if name == "margin":
        return sum(-log_sigmoid(r[i] - r[j] - rel[i] + rel[j]) for i, j in pairs) / max(1, len(pairs))
    if name == "rank_net":
        of_ties = sum(-0.5 * log_sigmoid(r[i] - r[j]) - 0.5 * log_sigmoid(r[j] - r[i]) for i, j in ties)
        return (sum(-log_sigmoid(r[i] - r[j]) for i, j in pairs) + of_ties) / (n * (n - 1) / 2)
    if name == "list_net":
        p = [math.exp(x) / sum(map(math.exp, rel)) for x in rel]
        return -sum(w * (x - math.log(sum(map(math.exp, r)))) for w, x in zip(p, r, strict=True))
    if name == "plackett_luce":
        return sum(math.log(sum(math.exp(r[j]) for j in range(n) if rel[j] <= rel[i])) - r[i] for i in range(n))
    if name == "list_mle":
        order = sorted(range(n), key=lambda i: -rel[i])
        return sum(math.log(sum(math.exp(r[j]) for j in order[k:])) - r[i] for k, i in enumerate(order))
    order = sorted(range(n), key=lambda i: -r[i])
    total = 0.0
    for i, j in pairs:
        exchanged = [j if k == i else i if k == j else k for k in order]
        total -= abs(ndcg(exchanged, rel) - ndcg(order, rel)) * log_sigmoid(r[i] - r[j])
    return total


@EVERY
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_loss_is_its_formula_written_out(name, seed, ties):
    scores, relevance = drawn(seed, ties=ties)
    if any(max(row) == 0 for row in relevance) and name == "lambda_rank":
        relevance = [[*row[:-1], 2.0] for row in relevance]
    expected = [obvious(name, r, rel) for r, rel in zip(scores, relevance, strict=True)]
    assert value(FAMILY[name], scores, relevance) == pytest.approx(expected, rel=1e-10, abs=1e-12)


# Laws of the family.


@EVERY
@given(shift=st.floats(-50, 50), seed=st.integers(0, 10**6))
def test_a_constant_added_to_a_prompt_s_scores_changes_nothing(name, shift, seed):
    scores, relevance = drawn(seed, ties=True)
    moved = [[x + shift * (k + 1) for x in row] for k, row in enumerate(scores)]
    assert value(FAMILY[name], moved, relevance) == pytest.approx(value(FAMILY[name], scores, relevance), abs=1e-9)


@EVERY
@given(seed=st.integers(0, 10**6))
def test_the_gradient_of_a_list_sums_to_zero(name, seed):
    found = gradient(FAMILY[name], *drawn(seed, ties=True))
    assert found.sum(1).tolist() == pytest.approx([0] * 3, abs=1e-12)


def test_centring_alone_knows_the_constant():
    centred = Centred(FAMILY["bradley_terry"], 0.1)
    assert value(centred, [1.0, 0.0], [1, 0]) != pytest.approx(value(centred, [2.0, 1.0], [1, 0]), abs=1e-3)
    assert CONSTANT in centred.breaks
    assert value(centred, [2.0, -2.0], [1, 0]) == value(FAMILY["bradley_terry"], [2.0, -2.0], [1, 0])
    assert gradient(centred, [2.0, 1.0], [1, 0]).sum().item() == pytest.approx(0.1 * 2 * 3 * 2)


@EVERY
@given(seed=st.integers(0, 10**6))
def test_the_gradient_is_that_of_central_differences(name, seed):
    scores, relevance = drawn(seed, prompts=1)
    found, step = gradient(FAMILY[name], scores, relevance)[0], 1e-6
    for place in range(4):
        ends = [[x + sign * step * (k == place) for k, x in enumerate(scores[0])] for sign in (1, -1)]
        if [sorted(range(4), key=end.__getitem__) for end in ends].count(
            sorted(range(4), key=scores[0].__getitem__)
        ) == 2:
            up, down = (value(FAMILY[name], end, relevance[0])[0] for end in ends)
            assert found[place].item() == pytest.approx((up - down) / (2 * step), abs=1e-6)


@EVERY
@given(seed=st.integers(0, 10**6), places=st.permutations(range(4)))
def test_exchanging_answers_exchanges_their_gradients(name, seed, places):
    scores, relevance = drawn(seed)
    mixed = [[[row[k] for k in places] for row in one] for one in (scores, relevance)]
    assert torch.allclose(
        gradient(FAMILY[name], *mixed), gradient(FAMILY[name], scores, relevance)[:, places], atol=1e-12
    )


@EVERY
def test_with_equal_relevances_order_matters_to_those_that_say_so(name):
    one = gradient(FAMILY[name], [0.7, 0.7, -1.0, 0.2], [1, 1, 0, 1])
    other = gradient(FAMILY[name], [0.2, -1.0, 0.7, 0.7], [1, 0, 1, 1]).flip(1)
    equal_scores = gradient(FAMILY[name], [0.0, 0.0, 0.0, 0.0], [1, 2, 0, 3])
    turned = gradient(FAMILY[name], [0.0, 0.0, 0.0, 0.0], [3, 0, 2, 1]).flip(1)
    same = torch.allclose(one, other) and torch.allclose(equal_scores, turned)
    assert same == (ORDER not in FAMILY[name].breaks)


@EVERY
@given(r=st.floats(-20, 20), other=st.floats(-20, 20))
def test_two_answers_give_bradley_terry(name, r, other):
    if PAIR not in FAMILY[name].breaks:
        assert value(FAMILY[name], [r, other], [1, 0]) == pytest.approx([-log_sigmoid(r - other)], abs=1e-12)


@EVERY
def test_those_that_are_not_bradley_terry_on_two_answers_say_so(name):
    if PAIR in FAMILY[name].breaks:
        assert value(FAMILY[name], [0.3, 0.1], [1, 0]) != pytest.approx([-log_sigmoid(0.2)], abs=1e-6)


@EVERY
def test_equal_answers_are_left_alone_by_those_that_do_not_say_otherwise(name):
    found = gradient(FAMILY[name], [0.9, -0.4], [1, 1])
    assert bool((found == 0).all()) == (EQUAL not in FAMILY[name].breaks)


@EVERY
@given(seed=st.integers(0, 10**6))
def test_what_is_no_answer_changes_nothing(name, seed):
    """Whatever stands there: large, NaN-free rubbish with a relevance of its own."""
    scores, relevance = drawn(seed, prompts=1)
    filled = [[*scores[0][:2], 10000.0, *scores[0][2:], -7.0]], [[*relevance[0][:2], 9.9, *relevance[0][2:], 0.0]]
    real = [[True, True, False, True, True, False]]
    assert value(FAMILY[name], *filled, real=real) == pytest.approx(value(FAMILY[name], scores, relevance), abs=1e-12)
    found = gradient(FAMILY[name], *filled, real=real)[0]
    assert found[[2, 5]].tolist() == [0, 0]
    assert found[[0, 1, 3, 4]].tolist() == pytest.approx(gradient(FAMILY[name], scores, relevance)[0].tolist())


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scores", [[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [1e4, 1e4, 1e4]])
def test_ten_thousand_gives_numbers(name, scores, dtype):
    made = torch.tensor([scores], dtype=dtype, requires_grad=True)
    loss = FAMILY[name](Rankings(made, torch.tensor([[2.0, 1.0, 0.0]], dtype=dtype)))
    loss.sum().backward()
    assert made.grad is not None
    assert bool(torch.isfinite(loss).all() and torch.isfinite(made.grad).all())
    assert loss.item() >= 0


@EVERY
def test_at_equal_scores_the_best_answer_is_raised_and_the_worst_lowered(name):
    found = gradient(FAMILY[name], [0.0, 0.0, 0.0], [0, 1, 2])[0]
    assert found[2] < 0 < found[0]


@EVERY
def test_two_prompts_do_not_see_each_other(name):
    both = value(FAMILY[name], [[1.0, 0.2, -1.0], [0.3, 2.0, 0.1]], [[2, 1, 0], [0, 1, 2]])
    assert both[0] == value(FAMILY[name], [1.0, 0.2, -1.0], [2, 1, 0])[0]


# What only one of them does.


def test_lambdas_are_those_of_the_current_ranks_and_ties_are_stable():
    scores, relevance = [0.1, 0.9, 0.4], [2.0, 0.0, 1.0]
    weights = changes_of_ndcg(answers(scores, relevance))[0]
    found = gradient(LambdaRank(), scores, relevance)[0]
    push = {(i, j): -weights[i, j].item() / (1 + math.exp(scores[i] - scores[j])) for i, j in [(0, 1), (0, 2), (2, 1)]}
    assert found.tolist() == pytest.approx([push[0, 1] + push[0, 2], -push[0, 1] - push[2, 1], push[2, 1] - push[0, 2]])
    assert ranks(answers([0.5, 0.7, 0.5, 0.7], [0, 1, 2, 3])).tolist() == [[3, 1, 4, 2]]


def test_lambda_rank_refuses_relevances_that_its_gain_cannot_take():
    for wrong in (-1.0, 61.0):
        with pytest.raises(ValueError, match="relevances"):
            value(LambdaRank(), [0.0, 1.0], [wrong, 0.5])


def test_the_first_choice_of_plackett_luce_is_a_softmax():
    scores = [0.3, -0.2, 1.1]
    found = value(PlackettLuce(top=1), scores, [1, 2, 0])
    assert found == pytest.approx([math.log(sum(map(math.exp, scores))) + 0.2])


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("hinge", "no reward loss 'hinge'"),
        ("rank_net:beta=2", "no option 'beta'"),
        ("margin:scale", "not option=number"),
        ("margin:scale=-1", "scale must be"),
        ("margin:scale=nan", "scale must be"),
        ("plackett_luce:top=1.5", "top"),
        ("bradley_terry:centring=-1", "centring must be"),
    ],
)
def test_what_is_no_loss_is_refused_by_name(text, part):
    with pytest.raises(RefusedError, match=part) as refused:
        loss_named(text)
    assert refused.value.where == "--loss"


def test_options_reach_their_loss():
    assert loss_named("plackett-luce:top=2") == PlackettLuce(top=2)
    assert loss_named("margin:scale=0.5,centring=0.01") == Centred(Margin(scale=0.5), 0.01)

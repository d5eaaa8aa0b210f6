"""What each way of tuning does to a step, against the obvious formula."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from springback.errors import RefusedError
from springback.models.rows import Row
from springback.train.sft import SFT, optimizer, summed, tune
from springback.train.tuning.choose import METHODS, tuning
from springback.train.tuning.constrained import Constrained
from springback.train.tuning.kl_anchor import KLAnchor
from springback.train.tuning.method import Tuning
from springback.train.tuning.plain import Plain
from springback.train.tuning.replay import Replay

BEFORE = [Row((1, 2, 3), (4, 5), 1, 1), Row((1, 3), (6, 7, 2), 1, 2), Row((2,), (8, 2), 1, 1)]


def moved(llama):
    """A network of the same shape with other weights."""
    network = llama(torch.float64)
    with torch.no_grad():
        for index, parameter in enumerate(network.parameters()):
            parameter.add_(0.05 * torch.sin(torch.arange(parameter.numel()) + index).view_as(parameter))
    return network


def logprobs(network, row):
    logits = network(torch.tensor([row.prompt + row.answer])).logits[0].double()
    return logits[len(row.prompt) - 1 : -1].log_softmax(-1)


def chosen(network, row):
    return logprobs(network, row).gather(-1, torch.tensor(row.answer)[:, None]).squeeze(-1)


@pytest.mark.parametrize("method", [Plain(), KLAnchor(weight=0.7), Constrained()])
def test_on_the_weights_it_began_from_a_step_is_a_plain_step(llama, rows, method):
    network = llama(torch.float64)
    loss = method(network, rows, BEFORE)
    grads = []
    for total in (loss(network, rows).total, summed(network, rows).total):
        network.zero_grad()
        total.backward()
        grads.append([parameter.grad.clone() for parameter in network.parameters()])
    for mine, plain in zip(*grads, strict=True):
        assert_close(mine, plain, rtol=1e-5, atol=1e-6)


def test_the_constrained_loss_is_equation_3(llama, rows):
    aligned, network, method = llama(torch.float64), moved(llama), Constrained()
    found = method(aligned, rows, ())(network, rows)
    expected = 0.0
    for row in rows:
        both = zip(chosen(network, row).tolist(), chosen(aligned, row).tolist(), strict=True)
        for t, (new, old) in enumerate(both, start=1):
            beta = 0.5 if t == 1 else 2.0 if t <= 5 else 0.1
            expected -= 2 / beta * math.log(1 / (1 + math.exp(-beta * (new - old))))
    assert found.total.item() == pytest.approx(expected, rel=1e-5)
    assert found.tokens == sum(len(row.answer) for row in rows)


def test_a_token_that_became_likelier_is_pushed_less(llama):
    network, row = llama(torch.float64), Row((1, 2), (3,), 1, 1)
    loss = Constrained()(network, [row], ())
    other = moved(llama)
    up = float((chosen(other, row) - chosen(network, row)).detach())
    now = torch.tensor([up], dtype=torch.float64, requires_grad=True)
    (-2 / 0.5 * F.logsigmoid(0.5 * now)).sum().backward()
    assert -now.grad.item() == pytest.approx(2 / (1 + math.exp(0.5 * up)))
    assert loss(other, [row]).total.item() == pytest.approx(-4 * math.log(1 / (1 + math.exp(-0.5 * up))), rel=1e-5)


def test_the_anchor_adds_the_exact_kl_from_the_first_model(llama, rows):
    aligned, network = llama(torch.float64), moved(llama)
    plain, held = (KLAnchor(weight=w)(aligned, rows, ())(network, rows).total.item() for w in (0.0, 0.3))
    kl = 0.0
    for row in rows:
        old, new = logprobs(aligned, row), logprobs(network, row)
        kl += (old.exp() * (old - new)).sum().item()
    assert plain == pytest.approx(summed(network, rows).total.item(), rel=1e-6)
    assert held - plain == pytest.approx(0.3 * kl, rel=1e-4)
    assert kl > 0.1


def test_the_anchor_holds_a_model_nearer_to_where_it_began(llama, rows):
    begun = llama(torch.float64)

    def far(method):
        network = llama(torch.float64).requires_grad_(True)
        options = SFT(lr=3e-3, batch=len(rows))
        update, loss = optimizer(network, options), method(begun, rows, ())
        for step in range(20):
            list(tune(network, update, rows, options, first_step=step, loss=loss))
        old, new = ([logprobs(one, row).detach() for row in rows] for one in (begun, network))
        return sum(float((a.exp() * (a - b)).sum()) for a, b in zip(old, new, strict=True))

    assert far(KLAnchor(weight=5.0)) < 0.7 * far(Plain())


def test_replay_trains_on_both_and_on_old_rows_in_their_order(llama, rows):
    network = llama(torch.float64)
    found = Replay(share=0.5)(network, rows, BEFORE)(network, rows)
    old = [BEFORE[k % 3] for k in range(len(rows) // 2)]
    together = summed(network, [*rows, *old])
    assert_close(found.total, together.total, rtol=1e-6, atol=0)
    assert found.tokens == together.tokens


def test_replay_takes_no_row_twice_before_all_were_taken_and_none_where_there_are_none(llama):
    taken = [row for rows in Replay(share=1.5).beside(4, BEFORE) for row in rows]
    assert taken == [BEFORE[i % 3] for i in range(6)]
    assert Replay().beside(3, ()) == [[], [], []]


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_by_its_name_is_a_way_of_tuning_and_names_its_source(name):
    assert isinstance(tuning(name), Tuning)
    assert METHODS[name].paper.key


def test_options_stand_behind_a_colon():
    assert tuning("kl_anchor:weight=0.25") == KLAnchor(weight=0.25)
    assert tuning("constrained:first=1,until=3") == Constrained(first=1.0, until=3)


@pytest.mark.parametrize(
    ("named", "says"),
    [("kl_anchor:wait=1", "no option wait"), ("replay:share=much", "must be a number"), ("replay:share=0", "above 0"),
     ("kl_ancor", "plain, kl_anchor"), ("nowhere:f", "cannot be imported"), ("kl_anchor:weight=-1", "at least 0")],
)  # fmt: skip
def test_a_way_of_tuning_that_is_not_there_is_refused_with_what_is(named, says):
    with pytest.raises(RefusedError, match=says) as caught:
        tuning(named)
    assert caught.value.where.startswith("--reverse-with")


def test_a_function_of_the_users_is_taken_by_file(tmp_path, llama, rows):
    path = tmp_path / "mine.py"
    path.write_text(
        "from springback.train.sft import summed\n"
        "def tuning(network, rows, before):\n"
        "    return lambda network, batch: summed(network, [*batch, *before])\n"
    )
    network = llama(torch.float64)
    found = tuning(str(path))(network, rows, BEFORE)(network, rows)
    assert found.tokens == summed(network, [*rows, *BEFORE]).tokens

"""What stands between a preference loss and its backward pass."""

import math

import pytest
import torch
from torch.testing import assert_close

from springback.errors import RefusedError
from springback.fit.masters import MasterAdamW
from springback.models.rows import Row, RowPair
from springback.models.tiny import tiny
from springback.train.cures.calibrated import Calibrated
from springback.train.cures.choose import CURES, cure_named
from springback.train.cures.masked import differing
from springback.train.entanglement.plain import gradient
from springback.train.entanglement.stretches import Stretch
from springback.train.preference import LOSSES
from springback.train.preference_logprobs import logprobs
from springback.train.preference_step import Batch, PreferenceStep
from springback.train.reference import Stored, fill
from springback.train.reference_table import Places

PROMPT = (5, 6, 7)
PAIRS = tuple(
    RowPair(Row(PROMPT, (20 + i, 21, 22, 2), 1, 3), Row(PROMPT, (30 + i, 31, 21, 22, 2), 1, 4)) for i in range(4)
)
BATCH = Batch(tuple(range(4)), PAIRS)


def network():
    return tiny().network.double().requires_grad_().eval()


def step(net, cure: str, loss: str = "dpo") -> PreferenceStep:
    method = LOSSES[loss]()
    found = cure_named(cure, method)
    running = found.begin(net, MasterAdamW(net, None))
    needs = method.needs | running.needs
    *_, table = fill(net, PAIRS, [BATCH], needs)
    running.prepare(net, PAIRS)
    return PreferenceStep(method, Stored(table, Places.of(PAIRS)), running)


def gradients(net, total):
    names = [name for name, parameter in net.named_parameters() if parameter.requires_grad]
    total.backward()
    found = {name: net.get_parameter(name).grad for name in names}
    net.zero_grad()
    return {name: tensor.clone() for name, tensor in found.items() if tensor is not None}


@pytest.mark.parametrize("cure", ["normalised", "normalised:form=unit", "calibrated", "differing", "differing:first=1",
                                  "low_entanglement:share=0.5"])  # fmt: skip
def test_at_the_reference_a_cured_dpo_still_has_the_loss_log_2(cure):
    net = network()
    assert step(net, cure)(net, BATCH).total.item() == pytest.approx(4 * math.log(2), abs=1e-9)


def test_normalised_descent_raises_every_chosen_and_lowers_every_rejected_answer_of_a_pair_alone():
    net = network()
    for pair in PAIRS:
        batch = Batch((0,), (pair,))
        *_, table = fill(net, (pair,), [batch], LOSSES["dpo"].needs)
        running = cure_named("normalised", LOSSES["dpo"]()).begin(net, MasterAdamW(net, None))
        doing = PreferenceStep(LOSSES["dpo"](), Stored(table, Places.of((pair,))), running)
        found = gradients(net, doing(net, batch).total)
        own = [gradient(net, Stretch(row), list(found)).tensors for row in (pair.chosen, pair.rejected)]
        changes = [-sum(float((one[name] * found[name]).sum()) for name in found) for one in own]
        assert changes[0] > 0 > changes[1]


def test_masked_log_probabilities_push_only_where_the_answers_differ():
    """The gradient is that of DPO on the differing tokens' sums alone."""
    net = network()
    found = gradients(net, step(net, "differing")(net, BATCH).total)
    masks = [differing(pair) for pair in PAIRS]
    tokens = logprobs(net, PAIRS, {"tokens"}).by_token
    margins = [
        (tokens.chosen[i, : len(chosen)] * chosen).sum() - (tokens.rejected[i, : len(rejected)] * rejected).sum()
        for i, (chosen, rejected) in enumerate(masks)
    ]
    moved = torch.stack([margin - margin.detach() for margin in margins])
    by_hand = gradients(net, -torch.nn.functional.logsigmoid(0.1 * moved).sum())
    for name, tensor in by_hand.items():
        assert_close(found[name], tensor, rtol=1e-6, atol=1e-10)


def test_tokens_in_matching_runs_are_not_pushed():
    chosen, rejected = differing(PAIRS[0])
    assert chosen.tolist() == [1, 0, 0, 0]  # 20 | 21 22 2
    assert rejected.tolist() == [1, 1, 0, 0, 0]  # 30 31 | 21 22 2
    assert differing(PAIRS[0], first=1)[1].tolist() == [1, 0, 0, 0, 0]


def test_identical_answers_leave_nothing_to_push():
    row = PAIRS[0].chosen
    assert differing(RowPair(row, row))[0].tolist() == [0, 0, 0, 0]


def test_low_entanglement_keeps_its_share_of_each_answer():
    net = network()
    running = step(net, "low_entanglement:share=0.5").cure
    assert [(int(chosen.sum()), int(rejected.sum())) for chosen, rejected in running.masks] == [(2, 2)] * 4


def test_an_anchor_adds_the_mean_nll_of_the_chosen_answer():
    net = network()
    plain, anchored = (step(net, cure)(net, BATCH).total for cure in ("calibrated", "anchor:weight=0.5"))
    policy = logprobs(net, PAIRS, frozenset())
    assert_close(anchored - plain, -0.5 * policy.mean.chosen.sum())


def test_the_anchored_loss_is_rpo():
    net = network()
    anchored = step(net, "anchor:weight=1")(net, BATCH).total
    *_, table = fill(net, PAIRS, [BATCH], LOSSES["rpo"].needs)
    rpo = PreferenceStep(LOSSES["rpo"](nll=1.0), Stored(table, Places.of(PAIRS)))(net, BATCH).total
    assert_close(anchored, rpo)


def test_calibration_moves_the_pushes_towards_the_mean_norms_ratio():
    net = network()
    doing = step(net, "calibrated:decay=0")
    doing(net, BATCH)
    running = doing.cure
    seen = running.seen[0]
    norm_w, norm_l, up, down = seen.mean(dim=1)
    doing.advance()
    delta = math.exp(float(running.mean) / 2)
    assert (delta * up) / (down / delta) == pytest.approx(float(norm_l / norm_w))
    assert running.told()["delta"] == pytest.approx(delta)


def test_micro_batches_leave_the_calibrated_gradient_as_it_is():
    whole, parts = network(), network()
    doing, cut = step(whole, "calibrated:decay=0"), step(parts, "calibrated:decay=0")
    for _ in range(2):  # the second step is calibrated
        doing(whole, BATCH).total.backward()
        for half in (BATCH[:2], Batch((2, 3), PAIRS[2:])):
            cut(parts, Batch(half.places[:2], half.items)).total.backward()
        for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
            if one.grad is not None:
                assert_close(one.grad, other.grad, rtol=1e-8, atol=1e-12)
        doing.advance(), cut.advance()
        whole.zero_grad(), parts.zero_grad()


def test_a_learned_mask_closes_under_its_penalty_and_goes_on_where_it_stopped():
    net = network()
    doing = step(net, "learned_mask:penalty=5,lr=0.5")
    open_at = []
    for _ in range(4):
        doing(net, BATCH).total.backward()
        open_at.append(doing.cure.told()["pushed"])
        doing.advance()
        net.zero_grad()
    assert open_at == sorted(open_at, reverse=True)
    assert open_at[-1] < 0.5 < open_at[0]
    again = step(net, "learned_mask:penalty=5,lr=0.5")
    again.cure.restore({name: tensor.clone() for name, tensor in doing.cure.tensors().items()})
    for one in (doing, again):
        one(net, BATCH).total.backward()
        one.advance()
        net.zero_grad()
    assert torch.equal(doing.cure.parameters, again.cure.parameters)


def test_masks_survive_a_checkpoint():
    net = network()
    running, fresh = (step(net, "differing").cure for _ in range(2))
    fresh.masks = []
    fresh.restore(running.tensors())
    sides = [[side.tolist() for mask in one.masks for side in mask] for one in (running, fresh)]
    assert sides[0] == sides[1]


def test_weights_of_the_users_are_taken_by_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def weights(chosen, rejected):\n    return [2.0] * len(chosen), [0.0] * len(rejected)\n")
    net = network()
    running = step(net, str(file)).cure
    assert running.masks[0][0].tolist() == [2.0] * 4
    assert running.masks[0][1].tolist() == [0.0] * 5


@pytest.mark.parametrize(
    ("cure", "loss", "says"),
    [
        ("nomalised", "dpo", "normalised"),
        ("normalised:form=round", "dpo", "product or unit"),
        ("anchor:weight=0", "dpo", "greater than 0"),
        ("normalised", "ld_dpo", "sums and lengths"),
        ("differing", "kto", "acts on pairs"),
        ("calibrated:decay=1", "dpo", "decay must be in"),
    ],
)
def test_a_cure_that_cannot_stand_there_is_refused(cure, loss, says):
    with pytest.raises(RefusedError) as caught:
        cure_named(cure, LOSSES[loss]())
    assert says in f"{caught.value.message} {caught.value.next}"


def test_every_cure_names_its_paper():
    assert all(member.paper.url.startswith("https://") for member in CURES.values())
    assert Calibrated().paper.year == 2026

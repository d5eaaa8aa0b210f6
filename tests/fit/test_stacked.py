import math
from dataclasses import replace

import pytest
import torch

from springback.fit import checkpoint
from springback.fit.checkpoint import Checkpoint
from springback.fit.loop import Summed
from springback.fit.stacked import AdapterNonFiniteError, Course, fit_stacked
from springback.fit.stacked_adamw import Decay, StackedAdamW
from springback.models.adapters import LoRA, attach
from springback.models.rows import Row
from springback.models.stacked_adapters import stack
from springback.models.stacked_lines import packed_lines, padded_lines
from springback.train import sft, sft_stacked
from springback.train.sft import SFT
from springback.train.sft_in_groups import calibrated, tune_in_groups
from springback.train.sft_stacked import summed_each, tune_stacked

LORA = [LoRA(rank=4, seed=3), LoRA(rank=4, alpha=6.0, seed=4), LoRA(rank=4, seed=5)]
OPTIONS = [
    SFT(lr=1e-2, batch=4, eps=1e-4),
    SFT(lr=3e-3, batch=2, eps=1e-4, clip=0.3, warmup_steps=2, weight_decay=0.1, betas=(0.8, 0.99)),
    SFT(lr=5e-3, batch=6, eps=1e-4, accumulate=3, clip=1e9),
]
"""Everything that may differ does; ε above the rounding of vanishing gradients."""
CLOSE = {torch.float64: 2e-7, torch.float32: 1e-5, torch.bfloat16: 0.03}
"""Largest distance of an adapter's move from that of a run alone, relative to the move. In float64 the norms of the
network and the loss are float32 all the same: 3e-8 is left. One pass in float64: `models/test_stacked_adapters.py`."""
LOSS_CLOSE = {torch.float64: 1e-7, torch.float32: 1e-6, torch.bfloat16: 2e-3}


@pytest.fixture
def parts(rows):
    """Unequal numbers of rows: 3, 4 and 2 steps, so two adapters stop before the other."""
    return [rows[:12], rows[3:11], rows[8:20]]


def alone(llama, dtype, index, rows, options=OPTIONS):
    """The reference: PEFT's adapter, alone, in the plain loop."""
    network = llama(dtype)
    for name in attach(network, LORA[index]):
        parameter = network.get_parameter(name)
        parameter.data = parameter.data.to(torch.float64 if dtype == torch.float64 else torch.float32)
    update = sft.optimizer(network, options[index])
    return list(sft.tune(network, update, rows, options[index])), update


def stacked(llama, dtype=torch.float32, options=OPTIONS, seed=0):
    made = stack(llama(dtype, seed=seed), LORA)
    return made, sft_stacked.optimizer(made, options)


def by_adapter(rounds):
    rounds = list(rounds)
    return [[steps[index] for steps in rounds if index in steps] for index in range(len(LORA))]


def moves(factors, start):
    return torch.cat([(factors[name] - start[name]).flatten().double() for name in start])


@pytest.mark.parametrize("dtype", CLOSE)
def test_each_adapter_ends_where_a_run_of_its_own_ends(llama, parts, dtype):
    made, update = stacked(llama, dtype)
    start = [{name: factor.clone() for name, factor in made.factors(index).items()} for index in range(3)]
    steps = by_adapter(tune_stacked(made, update, parts, OPTIONS))
    assert [len(each) for each in steps] == [3, 4, 2]
    for index, rows in enumerate(parts):
        expected, single = alone(llama, dtype, index, rows)
        found = moves(made.factors(index), start[index])
        wanted = moves({slot.name: slot.master.detach() for slot in single.slots}, start[index])
        assert (found - wanted).norm() <= CLOSE[dtype] * wanted.norm()
        for one, other in zip(steps[index], expected, strict=True):
            assert one.loss == pytest.approx(other.loss, rel=LOSS_CLOSE[dtype])
            assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=10 * LOSS_CLOSE[dtype])
            assert replace(one, loss=0.0, gradient_norm=0.0) == replace(other, loss=0.0, gradient_norm=0.0)


@pytest.mark.parametrize("way", [padded_lines, packed_lines])
def test_losses_are_those_of_each_adapter_alone_however_the_rows_go_through(llama, parts, way):
    made, _ = stacked(llama, torch.float64)
    for index in range(3):
        made.values[index].add_(0.01 * (index + 1))
    groups = [parts[0], [], parts[2]]
    both = summed_each(made, groups, way(made.network, groups))
    assert both[1] is None
    for index in (0, 2):
        with torch.no_grad():
            single = summed_each(made, [group if index == other else [] for other, group in enumerate(parts)])[index]
        assert both[index].total.item() == pytest.approx(single.total.item(), rel=1e-7)
        assert both[index].tokens == both[index].weight == sum(len(row.answer) for row in parts[index])


def test_more_answer_tokens_than_the_head_takes_at_once_change_nothing(llama, parts, monkeypatch):
    def gradients():
        made, _ = stacked(llama, torch.float64)
        sum(each.total for each in summed_each(made, parts)).backward()
        return made.sums

    whole = gradients()
    monkeypatch.setattr(sft_stacked, "LOSS_ROWS", 7)
    assert (gradients() - whole).norm() < 1e-6 * whole.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_resumed_from_checkpoints_is_uninterrupted_to_the_bit(llama, rows, dtype, tmp_path):
    options = [SFT(lr=1e-2, batch=4, warmup_steps=3), SFT(lr=1e-2, batch=2), SFT(lr=1e-3, batch=8, accumulate=2)]
    parts, cut = [rows[:12], rows[:6], rows[:24]], [4, 2, 8]
    through, update = stacked(llama, dtype, options)
    expected = list(tune_stacked(through, update, parts, options))

    before, first = stacked(llama, dtype, options)
    list(tune_stacked(before, first, [part[:at] for part, at in zip(parts, cut, strict=True)], options))
    for index in range(3):
        checkpoint.save(tmp_path / str(index), first.state(index), {})
    after, second = stacked(llama, dtype, options)
    after.values.normal_()  # everything must come from the checkpoints
    for index in range(3):
        kept = checkpoint.load(tmp_path / str(index))
        assert isinstance(kept, Checkpoint)
        second.load(index, kept.tensors)
    rest = [part[at:] for part, at in zip(parts, cut, strict=True)]
    assert list(tune_stacked(after, second, rest, options, first_steps=[1, 1, 1])) == expected[1:]
    for index in range(3):
        found, wanted = second.state(index), update.state(index)
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_chain_goes_on_from_the_stack_in_the_plain_loop_and_back(llama, rows):
    options = [SFT(lr=1e-2, batch=4, eps=1e-4)] * 3
    wanted = alone(llama, torch.float64, 0, rows, options)[1].state()
    made, update = stacked(llama, torch.float64, options)
    list(tune_stacked(made, update, [rows[:8], [], []], options))
    network = llama(torch.float64)
    for name in attach(network, LORA[0]):
        network.get_parameter(name).data = network.get_parameter(name).data.double()
    plain = sft.optimizer(network, options[0])
    plain.load(update.state(0))
    list(sft.tune(network, plain, rows[8:16], options[0], first_step=2))
    update.load(2, plain.state())  # into another place of the stack, made with another seed and α of the same size
    list(tune_stacked(made, update, [[], [], rows[16:]], options, first_steps=[0, 0, 4]))
    found = update.state(2)
    assert set(found) == set(wanted)
    assert all(torch.allclose(found[name].double(), wanted[name].double(), rtol=0, atol=1e-8) for name in wanted)


def test_fresh_moments_make_the_next_step_one_from_a_fresh_state(llama, rows):
    options = [OPTIONS[0]] * 3
    made, update = stacked(llama, options=options)
    list(tune_stacked(made, update, [rows[:8]] * 3, options))
    kept = {name: tensor.clone() for name, tensor in update.state(1, moments=False).items()}
    update.free_moments(1)
    assert set(update.state(1)) == set(kept)
    list(tune_stacked(made, update, [[], rows[8:], []], options))
    other, fresh = stacked(llama, options=options)
    fresh.load(1, kept)
    list(tune_stacked(other, fresh, [[], rows[8:], []], options))
    assert torch.equal(made.values[1], other.values[1])


def test_an_adapter_without_rows_does_not_move(llama, rows):
    made, update = stacked(llama, options=[OPTIONS[1]] * 3)  # weight decay would move it
    before = made.values.clone()
    list(tune_stacked(made, update, [rows, [], rows], [OPTIONS[1]] * 3))
    assert torch.equal(made.values[1], before[1])
    assert not torch.equal(made.values[0], before[0])


def test_a_loss_that_is_not_finite_names_its_adapter_and_moves_none(llama, parts):
    made, update = stacked(llama)
    rounds = tune_stacked(made, update, parts, OPTIONS, names=["benign", "mixed", "reversed"])
    next(rounds)
    made.factors(1)["model.layers.0.mlp.up_proj.lora_B.default.weight"][0, 0] = math.nan
    before = made.values.clone()
    with pytest.raises(
        AdapterNonFiniteError, match=r"Step 1, examples 2 to 3 .*adapter mixed: the loss is nan"
    ) as found:
        next(rounds)
    assert found.value.adapter == 1
    assert torch.equal(made.values[0], before[0])
    assert torch.equal(made.values[2], before[2])
    assert not made.sums.any()


def test_a_gradient_that_is_not_finite_names_its_adapter_and_tensor(llama, rows):
    made, update = stacked(llama)
    name = "model.layers.1.mlp.down_proj.lora_A.default.weight"

    def losses(_groups):
        made.factors(2, made.sums)[name][0, 0] = math.inf
        total = made.values.new_ones((), requires_grad=True)
        return [Summed(total, 1, 1)] * 3

    courses = [Course(str(index), [rows[:1]], fit_of(OPTIONS[0])) for index in range(3)]
    before = made.values.clone()
    with pytest.raises(AdapterNonFiniteError, match=f"adapter 2: the gradient of {name}"):
        list(fit_stacked(losses, courses, update))
    assert torch.equal(made.values, before)


def fit_of(options):
    return sft_stacked.Fit(lr=options.lr)


def test_batches_that_end_inside_a_step_name_their_adapter(llama, rows):
    made, update = stacked(llama)
    courses = [Course("short", [rows[:1]], sft_stacked.Fit(lr=1e-3, accumulate=2))] * 3
    with pytest.raises(ValueError, match="Adapter short: the batches end inside a step: 1 of 2"):
        list(fit_stacked(lambda groups: summed_each(made, groups), courses, update))


def test_an_incomplete_batch_is_refused_before_the_first_step(llama, rows):
    made, update = stacked(llama)
    before = made.values.clone()
    with pytest.raises(ValueError, match="no multiple of the batch"):
        list(tune_stacked(made, update, [rows[:12], rows[:3], rows[:12]], OPTIONS))
    assert torch.equal(made.values, before)


def test_a_state_of_other_tensors_is_refused_and_changes_nothing(llama):
    made, update = stacked(llama)
    before = made.values.clone()
    state = update.state(0)
    with pytest.raises(ValueError, match="not one of an adapter of this stack"):
        update.load(1, dict(list(state.items())[1:]))
    with pytest.raises(ValueError, match="another shape"):
        update.load(1, state | {next(iter(state)): torch.zeros(2, 2)})
    assert torch.equal(made.values, before)


def test_options_for_another_number_of_adapters_are_refused(llama):
    made, _ = stacked(llama)
    with pytest.raises(ValueError, match="3 adapters need as many options"):
        StackedAdamW(made, [Decay()])


def test_a_calibration_moves_nothing_and_its_groups_end_where_all_at_once_ends(llama, parts):
    made, update = stacked(llama, torch.float64)
    before = made.values.clone()
    found = calibrated(made, parts, OPTIONS)
    assert torch.equal(made.values, before)
    assert not made.sums.any()
    assert [index for group in found.groups for index in group] == [0, 1, 2]
    steps = by_adapter(tune_in_groups(made, update, parts, OPTIONS, [range(2), range(2, 3)]))
    other, together = stacked(llama, torch.float64)
    expected = by_adapter(tune_stacked(other, together, parts, OPTIONS))
    assert torch.allclose(made.values, other.values, rtol=0, atol=1e-9)
    assert [len(each) for each in steps] == [len(each) for each in expected]


def test_where_memory_holds_one_pass_adapters_go_one_by_one(llama, parts):
    made, _ = stacked(llama)
    found = calibrated(made, parts, OPTIONS, free=1)
    assert (found.most, len(found.groups), found.trials) == (1, 3, ())


def test_groups_that_leave_an_adapter_out_are_refused(llama, parts):
    made, update = stacked(llama)
    with pytest.raises(ValueError, match="each of the 3 adapters once"):
        list(tune_in_groups(made, update, parts, OPTIONS, [range(2)]))


def test_padding_and_neighbours_change_no_row(llama):
    """A short row beside a long one of another adapter has the loss that it has alone."""
    made, _ = stacked(llama, torch.float64)
    short, long = Row((1, 5), (7, 2), 1, 1), Row(tuple(range(3, 30)), (8, 9, 10, 2), 1, 1)
    with torch.no_grad():
        both = summed_each(made, [[short], [long], []])
        single = summed_each(made, [[short], [], []])
    assert both[0].total.item() == pytest.approx(single[0].total.item(), rel=1e-7)

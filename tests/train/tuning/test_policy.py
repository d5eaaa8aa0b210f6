"""A policy method as a way of tuning: the update is that of `springback rlhf`, the draws are the row's own."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from tests.train.tuning.chains import LONGEST, low_tokens, moved, paired, rollouts, tuned, way
from torch.testing import assert_close

from springback.errors import RefusedError
from springback.fit.masters import MasterAdamW
from springback.models.rollout import roll, seed_of
from springback.models.rows import Row
from springback.models.score import answer_logits
from springback.train.policy import METHODS
from springback.train.policy.passes import forward_quietly
from springback.train.policy.recipe import Recipe
from springback.train.policy.updates import Learner, updates
from springback.train.policy.value_head import ValueHead, WithValues
from springback.train.policy.written import Written
from springback.train.tuning.choose import tuning
from springback.train.tuning.policy import PolicyGradient
from springback.train.tuning.values import Values

ROWS = paired(4)
NO_CLIP = 1e9


def by_rlhf(network, start, method, *, group=4):
    """One update by the engine of `springback rlhf`, from the same draws: the weights and the value head after it."""
    seeds = [[seed_of(3, place, number) for number in range(group)] for place in range(len(ROWS))]
    found = roll(network, [row.prompt for row in ROWS], seeds, max_new_tokens=LONGEST, stop={2}, temperature=0.9)
    rows = [Row(r.prompt, one.ids, 0, 0) for r, own in zip(ROWS, found, strict=True) for one in own]
    width = max(len(row.answer) for row in rows)
    read = lambda one, head=None: forward_quietly(one, rows, at_once=5, width=width, temperature=0.9, head=head)
    head = ValueHead(32) if "values" in method.needs else None
    own = read(network, head)
    shares = [sum(t < 48 for t in row.answer) / len(row.answer) for row in rows]
    real = torch.arange(width) < torch.tensor([[len(row.answer)] for row in rows])
    rewards, groups = torch.tensor(shares, dtype=torch.float64), torch.arange(len(ROWS)).repeat_interleave(group)
    written = Written(real, rewards, groups, own.logprobs, read(start).logprobs, own.values)
    network.requires_grad_(True)
    optimizer = MasterAdamW(network)
    both = optimizer if head is None else WithValues(optimizer, head, rate=100.0)
    recipe = Recipe(lr=1e-3, clip=NO_CLIP, at_once=5, temperature=0.9)
    list(updates(Learner(network, both, head), method, rows, written, method.credit(written), recipe))
    return {name: weight.detach() for name, weight in network.named_parameters()}, head


@pytest.mark.parametrize("name", sorted(METHODS))
def test_one_step_is_the_update_of_rlhf_on_the_same_draws(llama, name):
    start = llama(torch.float64)
    ready = way(name, ROWS)
    loss = ready(start, ROWS, ())
    mine = tuned(moved(start), loss, ROWS, clip=NO_CLIP)
    method = replace(ready.method, length=LONGEST) if hasattr(ready.method, "length") else ready.method
    theirs, head = by_rlhf(moved(start), start, method)
    apart = max(float((mine[key] - theirs[key]).abs().max()) for key in mine)
    assert apart < 1e-7  # a step moves a weight by 1e-3
    if head is not None:
        assert_close(loss.values.head.linear.weight, head.linear.weight, rtol=1e-4, atol=1e-6)


def low_mass(network):
    with torch.no_grad():
        logits = answer_logits(network, [replace(row, answer=(2,)) for row in ROWS])
    return torch.stack([one[0].double().softmax(-1)[:48].sum() for one in logits]).mean().item()


@pytest.mark.parametrize(("wanted", "sign"), [(True, 1), (False, -1)])
def test_what_a_row_teaches_becomes_likelier_and_a_reversal_climbs_the_other_side(llama, wanted, sign):
    network = llama(torch.float64)
    rows = [replace(row) for row in ROWS * 15]  # each its own place
    before = low_mass(network)
    loss = way("grpo:beta=0,group=8", rows, wanted=wanted, longest=1)(network, rows, ())
    tuned(network, loss, rows, lr=3e-3)
    assert sign * (low_mass(network) - before) > 0.1


def drawn(llama, batches, name="rloo"):
    seen = {}

    def judge(answers, wanted):
        for one in answers:
            seen.setdefault(one.prompt, []).append(one.answer_ids)
        return low_tokens(answers, wanted)

    network = llama(torch.float64)
    loss = replace(way(name, ROWS), judge=judge)(network, ROWS, ())
    for batch in batches:
        loss(network, batch)
    return seen


def test_an_answer_depends_on_its_row_s_place_and_not_on_the_batch(llama):
    together = drawn(llama, [ROWS])
    assert together == drawn(llama, [ROWS[2:], ROWS[:2]])
    first, again = together["prompt 0"], together["prompt 3"]  # the same prompt tokens at another place
    assert ROWS[0].prompt == ROWS[3].prompt
    assert first != again
    assert len(set(first)) > 1


def test_a_reward_sees_the_conversation_and_the_text(llama):
    seen = []
    network = llama(torch.float64)
    judge = lambda answers, wanted: seen.extend(zip(answers, wanted, strict=True)) or low_tokens(answers, wanted)
    replace(way("grpo", ROWS, wanted=False), judge=judge)(network, ROWS, ())(network, ROWS[:1])
    one, side = seen[0]
    assert (one.prompt, one.turns[-1]["role"], side) == ("prompt 0", "user", False)
    assert one.prompt_ids == ROWS[0].prompt
    assert one.text == " ".join(map(str, one.answer_ids))


def test_answers_without_a_reward_are_left_out_and_none_at_all_is_refused(llama):
    network = llama(torch.float64)
    half = lambda answers, wanted: [r if i % 4 < 2 else None for i, r in enumerate(low_tokens(answers, wanted))]
    found = replace(way("rloo:beta=0", ROWS), judge=half)(network, ROWS, ())(network, ROWS)
    assert found.weight == 2 * len(ROWS)
    nothing = replace(way("rloo", ROWS), judge=lambda answers, _: [None] * len(answers))(network, ROWS, ())
    with pytest.raises(RefusedError, match="None of the 16 answers"):
        nothing(network, ROWS)


def test_a_batch_that_teaches_nothing_is_a_step_with_gradient_0(llama):
    network = llama(torch.float64)
    same = replace(way("dapo", ROWS), judge=lambda answers, _: [0.3] * len(answers))(network, ROWS, ())
    norms = []
    weights = tuned(network, same, ROWS, each=lambda step: norms.append(step.gradient_norm))
    assert norms == [0.0]
    for name, weight in llama(torch.float64).named_parameters():
        assert torch.equal(weights[name], weight)


def test_a_value_head_learns_what_the_answers_are_worth(llama):
    values = Values.of(32, lr=0.05, device=torch.device("cpu"))
    states = torch.randn(6, 32, generator=torch.Generator().manual_seed(1))

    def told(found):
        by_token = (found - 0.7).square()
        return type("Objective", (), {"total": by_token.sum(), "weight": float(len(found))})

    for _ in range(200):
        values.learn(values.head(states), told)
    assert values.head(states).detach().mean().item() == pytest.approx(0.7, abs=0.02)


def test_ppo_follows_its_target_of_divergence(llama):
    start = llama(torch.float64)
    loss = way("ppo:target=0.001,horizon=40", ROWS)(start, ROWS, ())
    loss(moved(start), ROWS)  # far beyond the target
    assert loss.method.beta == pytest.approx(0.05 * (1 + 0.2 * 16 / 40))


def test_without_a_penalty_no_copy_of_the_network_is_kept(llama):
    network = llama(torch.float64)
    assert way("dapo", ROWS)(network, ROWS, ()).reference is None
    held = way("grpo", ROWS)(network, ROWS, ()).reference
    assert held is not network
    assert not any(weight.requires_grad for weight in held.parameters())


@pytest.mark.parametrize(
    ("named", "says"),
    [("grpo:group=1", "compared"), ("ppo:group=0", "group ≥ 1"), ("grpo:gruop=4", "no option gruop"),
     ("grpo:beta=-1", "beta must be"), ("grpo:beta", "written name=value"), ("rloo:kl=k1,kl_in=loss", "kl_in=loss")],
)  # fmt: skip
def test_an_option_that_cannot_hold_is_refused(named, says):
    with pytest.raises(RefusedError, match=says) as caught:
        tuning(named, option="--align-with")
    assert caught.value.where == "--align-with"
    assert not {"judge", "rollouts", "method"} & set(caught.value.next.replace(",", "").replace(";", "").split())


def test_options_of_the_method_and_of_the_rollouts_stand_together():
    found = tuning("ppo:group=2,beta=0.2,reward=mine.py,value_rate=10")
    assert isinstance(found, PolicyGradient)
    assert (found.group, found.reward, found.value_rate, found.method.beta) == (2, "mine.py", 10.0, 0.2)


def test_it_cannot_be_used_without_rollouts_or_with_those_of_other_rows(llama):
    network = llama(torch.float64)
    with pytest.raises(ValueError, match="how answers are drawn"):
        tuning("grpo")(network, ROWS, ())
    other = replace(way("grpo", ROWS), rollouts=rollouts(ROWS[:2]))
    with pytest.raises(ValueError, match="4 rows have 2 prompts"):
        other(network, ROWS, ())


def test_a_step_s_loss_of_grpo_at_its_reference_is_0(llama):
    """Advantages of a group sum to 0 and the ratio is 1, so the value is 0 where all answers have one length."""
    network = llama(torch.float64)
    found = way("grpo", ROWS, longest=1)(network, ROWS, ())(copy.deepcopy(network), ROWS)
    assert math.isclose(found.total.item(), 0, abs_tol=1e-9)
    assert found.tokens == 16


def test_what_was_written_is_counted_and_prompts_that_taught_nothing_too(llama):
    def judge(answers, _):
        worth = {"prompt 0": 0.5, "prompt 1": None}  # one reward for all, none, and two that differ
        return [worth.get(one.prompt, index % 4 / 4) for index, one in enumerate(answers)]

    network = llama(torch.float64)
    loss = replace(way("grpo", ROWS), judge=judge)(network, ROWS, ())
    loss(network, ROWS)
    found = loss.tally.json()
    assert (found["prompts"], found["answers"], found["unrewarded"], found["silent"]) == (3, 12, 4, 1)
    assert found["reward"]["estimate"] == pytest.approx((0.5 + 2 * 0.375) / 3)

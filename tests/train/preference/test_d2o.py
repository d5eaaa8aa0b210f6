import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from tests.laws.family import losses, numbers
from tests.train.preference.the_point import tensor
from torch.testing import assert_close

from springback.train.preference.d2o import D2O
from springback.train.preference.dpo import DPO
from springback.train.preference.samples import SampledLogprobs

REFERENCE = SampledLogprobs(tensor(0, 0, 0)[None], tensor(0))


@given(numbers)
def test_one_sample_and_equal_weights_make_dpo(batch):
    assert_close(losses("", batch, D2O(beta=0.3, alpha=0.3)), losses("", batch, DPO(beta=0.3)))


def test_the_samples_count_by_their_mean():
    policy = SampledLogprobs(tensor(3, 0, -6)[None], tensor(-2))  # mean −1; −σ⁻¹ of β·(−1) − α·(−2)
    assert D2O(beta=0.5, alpha=0.25)(policy, REFERENCE).item() == pytest.approx(math.log(2))
    assert_close(D2O(beta=1.0, alpha=1.0)(policy, REFERENCE), F.softplus(tensor(-1)))


def test_samples_are_pushed_up_and_the_rejected_answer_down():
    policy = SampledLogprobs(torch.zeros(1, 3).double().requires_grad_(), tensor(0).requires_grad_())
    d_samples, d_rejected = torch.autograd.grad(D2O()(policy, REFERENCE).sum(), (policy.samples, policy.rejected))
    assert d_samples[0].tolist() == pytest.approx([-0.05 / 3] * 3)
    assert d_rejected.item() == pytest.approx(0.05)


def test_prompts_may_have_fewer_samples_or_none():
    real = torch.tensor([[True, True, False], [False, False, False]])
    policy = SampledLogprobs(tensor(2, 4, 9e3).expand(2, 3), tensor(0, -1), real)
    reference = SampledLogprobs(torch.zeros(2, 3, dtype=torch.float64), tensor(0, 0), real)
    assert_close(D2O(beta=1.0, alpha=1.0)(policy, reference), F.softplus(tensor(-3, -1)))

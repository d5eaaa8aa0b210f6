from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from tests.models.test_groups import SHARING
from tests.models.tiny_networks import CONFIGS, network, tokens

from springback.models import single_query
from springback.models.generate import sample
from springback.models.rollout import roll
from springback.models.rows import Row
from springback.models.score import token_logprobs
from springback.models.single_query import SingleQueryMask

SEEN = torch.ones(3, 40, dtype=torch.bool)
SEEN[0, :7] = SEEN[2, :30] = False


def attended(query, key, value, mask, **options):
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, **options)


@pytest.mark.parametrize("options", [{}, {"scale": 0.3}, {"enable_gqa": True}])
def test_attention_is_nearer_to_float64_than_the_kernel_for_bfloat16(options):
    draw = torch.Generator().manual_seed(0)
    heads = 2 if "enable_gqa" in options else 6
    given = [torch.randn(3, n, t, 16, generator=draw).bfloat16() for n, t in ((6, 1), (heads, 40), (heads, 40))]
    exact = attended(*(each.double() for each in given), SEEN[:, None, None], **options)
    plain = attended(*given, SEEN[:, None, None], **options)
    mask = single_query.mask(network("llama").bfloat16(), SEEN)
    assert isinstance(mask, SingleQueryMask)
    found = attended(*given, mask, **options)
    assert found.dtype == torch.bfloat16
    assert (found - exact).norm() <= (plain - exact).norm()
    assert (found - exact).norm() <= 3e-3 * exact.norm()


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_written_has_the_probability_that_a_whole_pass_gives_it(name):
    built = network(name).bfloat16()
    prompts = [tokens(9, 1), tokens(3, 2)]
    found = roll(built, prompts, [[1, 2], [3]], max_new_tokens=5, stop={2})
    exact = deepcopy(built).double()
    for prompt, group in zip(prompts, found, strict=True):
        for one in group:
            (expected,) = token_logprobs(exact, [Row(prompt, one.ids, int(one.ended), 0)])
            torch.testing.assert_close(torch.tensor(one.logprobs).double(), expected, rtol=0.03, atol=0.2)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name not in SHARING])
def test_a_network_that_takes_no_such_mask_gets_the_usual_one(name):
    mask = single_query.mask(network(name).bfloat16(), SEEN)
    assert type(mask) is torch.Tensor
    assert torch.equal(mask, SEEN.long())


def test_in_float32_and_beyond_the_reach_of_its_buffers_the_usual_mask_stays():
    assert type(single_query.mask(network("llama"), SEEN)) is torch.Tensor
    assert type(single_query.mask(network("llama").bfloat16(), torch.ones(1, 129, dtype=torch.bool))) is torch.Tensor


def test_sampling_meets_the_mask(monkeypatch):
    met = []
    attend = SingleQueryMask.attend
    monkeypatch.setattr(
        SingleQueryMask, "attend", lambda self, *given, **options: met.append(1) or attend(self, *given, **options)
    )
    sample(network("qwen2").bfloat16(), [tokens(4, 1)], generators=[0], max_new_tokens=4, stop=set())
    assert len(met) == 3 * 3  # three layers, the three tokens behind the first

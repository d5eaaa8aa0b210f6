import pytest
import torch

from springback.errors import RefusedError
from springback.models.load import load
from springback.models.score import answer_logits, token_logprobs
from springback.models.tokens import encode
from springback.tensors.divergences import kl_bits

TEXT = "the film is a dull and slow moving story about nothing at all and yet it has a certain charm"
NOUNS = ["plot", "cast", "score", "ending", "humour", "pacing"]
pytestmark = pytest.mark.weights


def model_and_rows(dtype):
    try:
        model = load("smollm2-135m-instruct", dtype=dtype)
    except RefusedError as refused:
        pytest.skip(refused.message)
    asked = [[{"role": "user", "content": f"Write one sentence about the {noun}."}] for noun in NOUNS]
    rows = [encode(model, prompt, TEXT[: 8 + 16 * i]) for i, prompt in enumerate(asked)]
    return model.network, rows


def test_in_float32_distributions_are_those_of_plain_transformers_row_by_row():
    network, rows = model_and_rows(torch.float32)
    for row, found, nats in zip(rows, answer_logits(network, rows), token_logprobs(network, rows), strict=True):
        with torch.no_grad():
            plain = network(torch.tensor([row.prompt + row.answer]), use_cache=False).logits[0]
        expected = plain[len(row.prompt) - 1 : -1]
        assert kl_bits(expected, found).max() < 1e-5
        picked = expected.log_softmax(-1).gather(-1, torch.tensor(row.answer)[:, None]).squeeze(-1).double()
        assert (nats - picked).abs().max() < 1e-4


def test_in_bfloat16_company_padding_and_sharing_change_a_row_by_less_than_its_own_rounding():
    """On CPUs with bfloat16 dot products they change nothing at all; elsewhere kernels may round another way."""
    network, rows = model_and_rows(torch.bfloat16)
    alone = torch.cat([token_logprobs(network, [row])[0] for row in rows])
    for how in ({}, {"sharing": False}, {"batch_tokens": 100}):
        apart = (torch.cat(token_logprobs(network, rows, **how)) - alone).abs()
        assert apart.mean() < 0.02
        assert apart.max() < 0.5

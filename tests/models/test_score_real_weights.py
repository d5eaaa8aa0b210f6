import pytest
import torch

from springback.errors import RefusedError
from springback.models.load import load
from springback.models.score import answer_logits, token_logprobs
from springback.models.tokens import encode
from springback.tensors.divergences import kl_bits

TEXTS = {"plot": "A dull story.", "cast": "The cast is a joy to watch, every one of them.", "score": "Fine."}


@pytest.mark.weights
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_distributions_are_those_of_plain_transformers_row_by_row(dtype):
    try:
        model = load("smollm2-135m-instruct", dtype=dtype)
    except RefusedError as refused:
        pytest.skip(refused.message)
    rows = [encode(model, [{"role": "user", "content": f"Write about the {noun}."}], TEXTS[noun]) for noun in TEXTS]
    for row, found, nats in zip(
        rows, answer_logits(model.network, rows), token_logprobs(model.network, rows), strict=True
    ):
        with torch.no_grad():
            plain = model.network(torch.tensor([row.prompt + row.answer]), use_cache=False).logits[0]
        expected = plain[len(row.prompt) - 1 : -1]
        assert kl_bits(expected, found).mean() < 1e-4
        picked = expected.float().log_softmax(-1).gather(-1, torch.tensor(row.answer)[:, None]).squeeze(-1).double()
        assert (nats - picked).abs().max() < (1e-4 if dtype == torch.float32 else 0.3)

"""A tokenizer that would melt the end of a prompt and the beginning of an answer into one token."""

from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from springback.data.choices import Choice
from springback.data.records import Message
from springback.models.pair_tokens import item_of
from springback.models.rows import common_prefix
from springback.models.tiny import PAD, START, STOP, tiny
from springback.tensors.seed import seeded
from springback.train.entanglement import inner_products
from springback.train.pair_logprobs import pair_logprobs

BARE = "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}<|im_end|>{% endif %}{% endfor %}"
"""Nothing stands between prompt and answer."""
PROMPT = "say much"
PAIRS = {
    "one answer melts": ("more, yes", "few, no"),
    "both melt": ("more, yes", "more, no"),
    "a beginning of letters is none of tokens": ("see", "seen"),
}


@pytest.fixture(scope="module")
def model():
    """BPE over whole lines, trained on lines in which `muchmore` is the commonest run of letters."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=290, special_tokens=[PAD, START, STOP], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))  # fmt: skip
    backend.train_from_iterator(["muchmore"] * 9 + ["much"] * 5 + ["more, "] * 5 + ["seen"] * 8, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token=PAD, bos_token=START, eos_token=STOP)
    start = tiny(layers=2, hidden=32, heads=2, scale=0.2)
    with seeded(0):
        start.network.resize_token_embeddings(len(tokenizer))
    start.network.double().requires_grad_(requires_grad=True)
    return replace(start, tokenizer=tokenizer, template=BARE)


def pair(model, name):
    chosen, rejected = PAIRS[name]
    return item_of(model, Choice((Message("user", PROMPT),), chosen, rejected, "f:1"))


def ids(model, text):
    return tuple(model.tokenizer(text, add_special_tokens=False)["input_ids"])


def alone(model, row):
    """log π of one answer from one plain forward pass over its own ids."""
    whole = torch.tensor([[*row.prompt, *row.answer]])
    logprobs = model.network(whole).logits[0].log_softmax(-1)
    places = torch.arange(len(row.prompt) - 1, len(row) - 1)
    return logprobs[places, torch.tensor(row.answer)].sum()


def test_the_tokenizer_does_melt_them(model):
    together = ids(model, PROMPT + "more, yes")
    beginnings = {model.tokenizer.decode(together[:end]) for end in range(len(together))}
    assert PROMPT not in beginnings


@pytest.mark.parametrize("name", PAIRS)
def test_both_answers_follow_the_prompt_s_own_tokens_and_no_text_is_lost(model, name):
    found = pair(model, name)
    for row, text in zip((found.chosen, found.rejected), PAIRS[name], strict=True):
        assert row.prompt == ids(model, PROMPT)
        assert row.answer == ids(model, text + STOP)
        assert model.tokenizer.decode([*row.prompt, *row.answer]) == PROMPT + text + STOP


@pytest.mark.parametrize(("name", "shared"), [("one answer melts", 0), ("both melt", 1),
                                              ("a beginning of letters is none of tokens", 0)])  # fmt: skip
def test_the_shared_beginning_is_counted_in_tokens_of_the_answers(model, name, shared):
    found = pair(model, name)
    assert common_prefix([found.chosen.answer, found.rejected.answer]) == shared
    (gram,) = inner_products(model.network, [found]).pairs
    assert gram.prefix_tokens == shared
    assert gram.tokens == (len(found.chosen.answer), len(found.rejected.answer))


def test_log_probabilities_and_gradients_behind_one_prompt_are_those_of_rows_apart(model):
    pairs = [pair(model, name) for name in PAIRS]
    found = pair_logprobs(model.network, pairs)
    apart = [(alone(model, one.chosen), alone(model, one.rejected)) for one in pairs]
    assert found.chosen.tolist() == pytest.approx([one.item() for one, _ in apart], rel=1e-10)
    assert found.rejected.tolist() == pytest.approx([other.item() for _, other in apart], rel=1e-10)
    weights = list(model.network.parameters())
    ours = torch.autograd.grad((found.chosen - 0.3 * found.rejected).sum(), weights)
    theirs = torch.autograd.grad(sum(one - 0.3 * other for one, other in apart), weights)
    for one, other in zip(ours, theirs, strict=True):
        assert float((one - other).norm()) <= 2e-6 * float(other.norm())  # norms are taken in float32

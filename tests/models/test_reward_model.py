"""Reading a score at the right token, whatever stands around it, and the folder that plain transformers reads."""

import json
import math
import random
from dataclasses import replace

import pytest
import torch
import transformers as T
from tests.models.tiny_networks import CONFIGS, network, tokens

from springback.errors import RefusedError
from springback.models import reward_folder, reward_texts
from springback.models.adapters import LoRA, attach
from springback.models.language_model import LanguageModel
from springback.models.reward_head import reward_of
from springback.models.reward_model import masked_scores, row_scores, scores, scores_of_rows
from springback.models.reward_texts import ending_template
from springback.models.rows import Row
from springback.models.tiny import STOP, tiny
from springback.train.reward import LOSSES
from springback.train.reward.step import Ranked, summed

ASKED = [("How are you?", "Well."), ("How are you?", "I do not know."), ("Name a colour.", "Blue"), ("Hm", "")]


@pytest.fixture
def model():
    return reward_of(tiny(), seed=0)


def of_architecture(name, seed=0):
    """A reward model around one of the small networks, with the byte tokenizer beside it."""
    plain, other = network(name), tiny()
    language = LanguageModel(
        network=plain, tokenizer=other.tokenizer, name=name, origin="random", weights_sha256="", template_sha256="",
        licence=None, context=128, template=other.template,
    )  # fmt: skip
    plain.resize_token_embeddings(len(other.tokenizer))
    return reward_of(language, seed=seed)


def alone(model, row):
    """The score of one row by the decoder itself: the last hidden state times the head."""
    with torch.no_grad():
        states = model.states.decoder(torch.tensor([row.prompt + row.answer])).last_hidden_state
        return float(model.head(states[0, -1]))


def row(prompt, answer, seed):
    return Row(tokens(prompt, seed), tokens(answer, seed + 1), 1, 0)


READABLE = [name for name in CONFIGS if name not in ("granite (scaled logits)", "lfm2 (convolutions)")]


@pytest.mark.parametrize("name", READABLE)
def test_a_score_is_the_last_state_times_the_head_in_any_architecture_and_company(name):
    """Prompts shared or not, answers of other lengths before and behind it, alone or in a batch."""
    built = of_architecture(name)
    prompt, other = tokens(9, 1), tokens(4, 2)
    groups = [
        [Row(prompt, tokens(size, size), 1, 0) for size in (3, 1, 6)],
        [Row(other, tokens(2, 8), 1, 0)],
        [Row(other, tokens(size, size + 20), 1, 0) for size in (5, 4)],
    ]
    flat = [one for group in groups for one in group]
    expected = [alone(built, one) for one in flat]
    with torch.no_grad():
        assert row_scores(built, groups).tolist() == pytest.approx(expected, abs=2e-5)
        assert row_scores(built, groups[::-1]).tolist()[-3:] == pytest.approx(expected[:3], abs=2e-5)
    assert scores_of_rows(built, flat, batch_tokens=12) == pytest.approx(expected, abs=2e-5)
    assert len(set(expected)) == len(expected)


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen2", "mistral (window 6)"])
@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_padding_changes_nothing_on_whichever_side_and_of_whichever_token(name, side):
    """Padding with the answer's own stop, which also stands inside the prompt."""
    built, stop = of_architecture(name), 2
    rows = [(*tokens(3, k), stop, *tokens(size, k + 9), stop) for k, size in enumerate((2, 6, 4))]
    before = {"left": 3, "right": 0, "both": 2}[side]
    width = max(map(len, rows)) + 5
    ids, real = torch.full((3, width), stop), torch.zeros(3, width, dtype=torch.bool)
    for index, one in enumerate(rows):
        start = width - len(one) if side == "left" else before
        ids[index, start : start + len(one)] = torch.tensor(one)
        real[index, start : start + len(one)] = True
    expected = [alone(built, Row(one[:4], one[4:], 1, 0)) for one in rows]
    with torch.no_grad():
        assert masked_scores(built, ids, real).tolist() == pytest.approx(expected, abs=2e-5)


def test_a_sequence_of_padding_alone_has_no_score(model):
    with pytest.raises(ValueError, match="no real token"):
        masked_scores(model, torch.ones(1, 3, dtype=torch.long), torch.zeros(1, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="no token"):
        row_scores(model, [[Row((3, 4), (), 0, 0)]])


def test_order_and_company_change_no_score(model):
    single = [scores(model, [one])[0] for one in ASKED]
    mixed = list(range(len(ASKED))) * 3
    random.Random(1).shuffle(mixed)
    found = scores(model, [ASKED[index] for index in mixed], batch_tokens=70)
    assert found == pytest.approx([single[index] for index in mixed], abs=1e-5)


def test_equal_answers_have_equal_scores_and_a_loss_of_log_2(model):
    once = row(5, 4, 3)
    for name in ("bradley_terry", "plackett_luce", "rank_net", "list_mle"):
        found = summed(model, LOSSES[name](), [Ranked((once, once), (1.0, 0.0))] * 3)
        assert found.total.item() / found.weight == pytest.approx(math.log(2), abs=1e-6)
        assert (found.weight, found.tokens) == (3, 3 * 8)


def test_micro_batches_and_lists_of_unequal_length_add_up(model):
    """Loss and gradients of a batch are those of its prompts one by one: padded = unpadded, grouped = alone."""
    batch = [
        Ranked((row(6, 3, 1), Row(tokens(6, 1), tokens(5, 9), 1, 0)), (1.0, 0.0)),
        Ranked(tuple(Row(tokens(2, 4), tokens(size, size), 1, 0) for size in (1, 4, 7, 2)), (3.0, 2.0, 0.5, 0.5)),
    ]
    model.network.requires_grad_(requires_grad=True)
    for kind in LOSSES.values():
        found = []
        for parts in ([batch], [batch[:1], batch[1:]]):
            model.network.zero_grad()
            totals = [summed(model, kind(), part) for part in parts]
            sum(one.total for one in totals).backward()
            gradients = torch.cat([p.grad.flatten() for p in model.network.parameters()])
            found.append((sum(one.total.item() for one in totals), sum(one.weight for one in totals), gradients))
        assert found[0][:2] == pytest.approx(found[1][:2], abs=1e-5)
        assert torch.allclose(found[0][2], found[1][2], atol=1e-5)


def test_a_margin_that_some_pairs_lack_is_refused(model):
    both = [Ranked((row(3, 2, 1), Row(tokens(3, 1), tokens(3, 5), 1, 0)), (1.0, 0.0), margin) for margin in (0.5, None)]
    with pytest.raises(ValueError, match="some do not"):
        summed(model, LOSSES["margin"](), both)


def test_an_answer_longer_than_the_context_is_refused_with_its_number(model):
    with pytest.raises(RefusedError, match="Answer 1 has"):
        scores(model, [("a", "b"), ("a", "b" * 2000)])


# The folder.


@pytest.fixture
def folder(model, tmp_path):
    assert reward_folder.save(model, tmp_path / "model") == ()
    return tmp_path / "model"


def by_transformers(folder, asked, side="right"):
    """What a user gets who knows nothing of Springback."""
    tokenizer = T.AutoTokenizer.from_pretrained(folder)
    plain = T.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    turns = [[{"role": "user", "content": p}, {"role": "assistant", "content": a}] for p, a in asked]
    texts = tokenizer.apply_chat_template(turns, tokenize=False)
    batch = tokenizer(texts, padding=True, padding_side=side, return_tensors="pt", add_special_tokens=False)
    with torch.no_grad():
        return plain(**batch).logits.squeeze(-1).tolist()


@pytest.mark.parametrize("side", ["left", "right"])
def test_plain_transformers_gives_the_same_scores_of_a_saved_model(model, folder, side):
    assert by_transformers(folder, ASKED, side) == pytest.approx(scores(model, ASKED), abs=1e-5)


def test_a_saved_model_is_read_again_with_the_same_scores_and_is_one_number(model, folder):
    again = reward_folder.load(str(folder), dtype=torch.float32)
    assert scores(again, ASKED) == scores(model, ASKED)
    said = json.loads((folder / "config.json").read_text("utf-8"))
    assert said["architectures"] == ["LlamaForSequenceClassification"]
    assert T.AutoConfig.from_pretrained(folder).num_labels == 1
    assert not any(parameter.requires_grad for parameter in again.network.parameters())


def test_a_model_that_pads_with_its_stop_is_saved_with_padding_of_its_own(tmp_path):
    """Otherwise transformers takes the answer's stop for padding and reads the score before it."""
    language = tiny()
    language.tokenizer.pad_token = STOP
    language.network.config.pad_token_id = language.tokenizer.eos_token_id
    built = reward_of(language, seed=0)
    assert built.language.tokenizer.pad_token != STOP
    assert built.network.get_input_embeddings().padding_idx != language.tokenizer.eos_token_id
    reward_folder.save(built, tmp_path / "model")
    assert by_transformers(tmp_path / "model", ASKED, "left") == pytest.approx(scores(built, ASKED), abs=1e-5)


def test_without_a_control_token_to_spare_a_row_of_embeddings_is_added(tmp_path, monkeypatch):
    monkeypatch.setattr(reward_texts, "PAD", "<|fill|>")
    language = tiny()
    rows = language.network.get_input_embeddings().weight.shape[0]
    bare = T.PreTrainedTokenizerFast(
        tokenizer_object=language.tokenizer.backend_tokenizer, bos_token="<|im_start|>", eos_token=STOP,
        chat_template=language.template,
    )  # fmt: skip
    taken = language.template + "{# <|pad|> is written by this template #}"
    built = reward_of(replace(language, tokenizer=bare, template=taken), seed=0)
    assert built.language.tokenizer.pad_token == "<|fill|>"
    assert built.network.get_input_embeddings().weight.shape[0] == rows + 1
    reward_folder.save(built, tmp_path / "model")
    assert by_transformers(tmp_path / "model", ASKED, "left") == pytest.approx(scores(built, ASKED), abs=1e-5)


def test_an_adapter_is_saved_as_part_of_the_weights(model, tmp_path):
    pytest.importorskip("peft")
    before = scores(model, ASKED)
    attach(model.states.decoder, LoRA(rank=4, seed=1))
    with torch.no_grad():
        for name, parameter in model.network.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(len(name)))
    tuned = scores(model, ASKED)
    assert max(abs(a - b) for a, b in zip(before, tuned, strict=True)) > 0.05
    reward_folder.save(model, tmp_path / "model")
    assert by_transformers(tmp_path / "model", ASKED) == pytest.approx(tuned, abs=1e-4)


def test_masters_are_saved_before_rounding(model, tmp_path):
    masters = {name: tensor.detach().clone() for name, tensor in model.network.named_parameters()}
    expected = scores(model, ASKED)
    model.states.decoder.to(torch.bfloat16)
    assert scores(model, ASKED) != expected
    reward_folder.save(model, tmp_path / "model", masters)
    assert scores(reward_folder.load(str(tmp_path / "model"), dtype=torch.float32), ASKED) == expected


def test_the_head_of_another_seed_is_another_and_of_the_stated_size():
    weights = [reward_of(tiny(hidden=256, layers=1), seed=seed).head.weight for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert float(weights[0].detach().std()) == pytest.approx(257**-0.5, rel=0.15)


def test_the_template_of_the_folder_ends_with_the_stop_and_its_prompt_is_as_it_was(model):
    line_feed = model.language.template
    template, note = ending_template(model.language)
    assert note is None
    assert template != line_feed
    assert "<|im_end|>\\n" in line_feed


def test_what_is_no_reward_model_is_refused(folder, tmp_path):
    from springback.models.tiny import save_folder

    plain = save_folder(tiny(), tmp_path / "plain")
    with pytest.raises(RefusedError, match="no classifier"):
        reward_folder.load(str(plain), dtype=torch.float32)
    said = json.loads((plain / "config.json").read_text("utf-8"))
    said["architectures"] = ["LlamaForSequenceClassification"]
    (plain / "config.json").write_text(json.dumps(said), "utf-8")
    with pytest.raises(RefusedError, match=r"weights are missing and would be random|labels"):
        reward_folder.load(str(plain), dtype=torch.float32)
    with pytest.raises(RefusedError, match="language model"):
        reward_folder.load("tiny", dtype=torch.float32)


def test_an_architecture_without_a_classifier_is_refused():
    with pytest.raises(RefusedError, match="AutoModelForSequenceClassification"):
        of_architecture("lfm2 (convolutions)")

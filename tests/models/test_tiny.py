import torch

from springback.models.tiny import byte_tokenizer, tiny


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    assert tiny(0).weights_sha256 == tiny(0).weights_sha256 != tiny(1).weights_sha256


def test_making_it_leaves_the_global_seed_alone() -> None:
    before = torch.random.get_rng_state()
    tiny(5)
    assert torch.equal(before, torch.random.get_rng_state())


def test_it_is_frozen_in_evaluation_mode_and_about_a_megabyte() -> None:
    network = tiny().network
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())
    assert 0.5e6 < 4 * sum(weight.numel() for weight in network.parameters()) < 2e6


def test_any_text_comes_back_from_its_bytes() -> None:
    text = "".join(map(chr, range(32, 300))) + "\n\t\r\x00 안녕 \U0001f642"
    tokenizer = byte_tokenizer()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(ids) == len(text.encode())
    assert tokenizer.decode(ids) == text


def test_it_is_far_from_uniform_so_that_what_is_measured_is_something() -> None:
    with torch.inference_mode():
        logits = tiny().network(torch.arange(3, 60)[None]).logits.log_softmax(-1)
    assert float(logits.std()) > 0.1

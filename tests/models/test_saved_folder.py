"""Trained networks on disk: read again by transformers and PEFT with the same logits, whole or not at all."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from springback.errors import RefusedError
from springback.models.adapters import LoRA, attach, trainable
from springback.models.load import load
from springback.models.saved_folder import save_adapter, save_model
from springback.models.tiny import save_folder, tiny

IDS = torch.tensor([[5, 9, 40, 77]])


def small(seed=0, dtype=torch.float32):
    return tiny(seed, dtype, layers=1, hidden=32, heads=2)


@torch.no_grad()
def logits(network):
    return network(IDS).logits


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_whole_model_comes_back_bit_by_bit_in_the_type_it_computed_in(tmp_path, dtype):
    model = small(dtype=dtype)
    save_model(model, tmp_path / "model")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert plain.dtype == dtype
    assert torch.equal(logits(plain), logits(model.network))
    assert torch.equal(logits(load(str(tmp_path / "model"), dtype=dtype).network), logits(model.network))
    said = json.loads((tmp_path / "model" / "config.json").read_text())
    assert said["rope_theta"] == said["rope_parameters"]["rope_theta"]
    assert AutoTokenizer.from_pretrained(tmp_path / "model").chat_template == model.template


def test_an_adapter_comes_back_on_its_base(tmp_path):
    base = save_folder(small(), tmp_path / "base")
    model = small()
    attach(model.network, LoRA(rank=4))
    with torch.no_grad():
        for name in trainable(model.network):
            model.network.get_parameter(name).normal_(std=0.1, generator=torch.Generator().manual_seed(1))
    save_adapter(model, tmp_path / "adapter", base=str(base))
    modules = json.loads((tmp_path / "adapter/adapter_config.json").read_text())["target_modules"]
    assert modules == sorted(modules)
    peft = pytest.importorskip("peft")
    theirs = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(tmp_path / "adapter"))
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter")
    ours = load(str(tmp_path / "adapter"), dtype=torch.float32)
    start = logits(small().network)
    for network in (theirs, plain, ours.network):
        assert torch.allclose(logits(network), logits(model.network), atol=1e-5)
        assert not torch.allclose(logits(network), start, atol=1e-3)


def test_a_network_without_an_adapter_is_refused_as_one(tmp_path):
    with pytest.raises(RefusedError, match="no adapter"):
        save_adapter(small(), tmp_path / "adapter", base="x")


def test_a_folder_that_is_there_is_replaced_and_a_failure_leaves_it(tmp_path, monkeypatch):
    save_model(small(), tmp_path / "model")
    other = small(seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(type(other.tokenizer), "save_pretrained", None)
        with pytest.raises(TypeError):
            save_model(other, tmp_path / "model")
    kept = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert torch.equal(logits(kept), logits(small().network))
    save_model(other, tmp_path / "model")
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "model")), logits(other.network))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]

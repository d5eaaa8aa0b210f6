import json
from pathlib import Path

import pytest
import torch

from springback.errors import RefusedError
from springback.models.facts import describe
from springback.models.load import load
from springback.models.tiny import save_folder, tiny
from springback.tensors.seed import seeded

IDS = torch.arange(3, 60)[None]


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A LoRA that changes its base, and the logits that peft itself gives with it."""
    from peft import LoraConfig, get_peft_model

    base = save_folder(tiny(), tmp_path / "base")
    with seeded(1):
        wrapped = get_peft_model(
            tiny().network, LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
        )
    wrapped.save_pretrained(tmp_path / "lora")
    torch.save(wrapped.eval()(IDS).logits.detach(), tmp_path / "logits")
    about = json.loads((tmp_path / "lora" / "adapter_config.json").read_text())
    (tmp_path / "lora" / "adapter_config.json").write_text(json.dumps(about | {"base_model_name_or_path": str(base)}))
    return tmp_path / "lora"


def test_an_adapter_is_merged_into_the_base_it_names(adapter: Path) -> None:
    model = load(str(adapter), dtype=torch.float32)
    wanted = torch.load(adapter.parent / "logits", weights_only=True)
    torch.testing.assert_close(model.network(IDS).logits, wanted, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(wanted, tiny().network(IDS).logits, atol=1e-2)
    assert model.origin == "adapter lora merged into folder base"
    assert model.weights_sha256 != load(str(adapter.parent / "base"), dtype=torch.float32).weights_sha256
    assert type(model.network).__name__ == "LlamaForCausalLM"
    assert not any(weight.requires_grad for weight in model.network.parameters())


def test_its_facts_are_those_of_base_and_adapter(adapter: Path) -> None:
    base = describe(str(adapter.parent / "base"))
    facts = describe(str(adapter))
    assert facts.parameters > base.parameters
    assert (facts.layers, facts.context) == (base.layers, base.context)


def test_a_pickled_adapter_is_refused(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(RefusedError) as refused:
        load(str(adapter), dtype=torch.float32)
    assert refused.value.kind == "pickle"


def test_an_adapter_for_another_base_is_refused_rather_than_left_without_effect(adapter: Path) -> None:
    save_folder(tiny(layers=2), adapter.parent / "base")
    with pytest.raises(RefusedError, match="does not fit its base"):
        load(str(adapter), dtype=torch.float32)


def test_an_adapter_that_names_no_base_is_refused(adapter: Path) -> None:
    about = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(about | {"base_model_name_or_path": None}))
    with pytest.raises(RefusedError, match="names no base"):
        load(str(adapter), dtype=torch.float32)

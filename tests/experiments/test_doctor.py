import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from springback.experiments import environment
from springback.experiments.doctor import CHECKS, check_model
from springback.models.language_model import LanguageModel
from springback.models.load import load
from springback.models.tiny import save_folder, tiny
from springback.tensors.seed import seeded


def outcomes(model: LanguageModel) -> dict[str, str]:
    return {check.name: check.outcome for check in check_model(model)}


def why(model: LanguageModel, name: str) -> str:
    return next(check.why for check in check_model(model) if check.name == name)


def test_a_good_model_passes_every_check_and_says_what_it_skips() -> None:
    found = outcomes(tiny())
    assert len(found) == len(CHECKS)
    assert {name for name, outcome in found.items() if outcome != "pass"} == {"complete_weights", "rope"}


def test_a_folder_skips_nothing(tmp_path: Path) -> None:
    save_folder(tiny(), tmp_path / "m")
    (tmp_path / "m" / "generation_config.json").write_text('{"temperature": 0.3, "eos_token_id": 2}')
    model = load(str(tmp_path / "m"), dtype=torch.float32)
    assert set(outcomes(model).values()) == {"pass"}
    assert "temperature" in why(model, "generation_defaults")


def test_a_default_system_prompt_is_shown() -> None:
    model = tiny()
    injecting = (
        "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are Bob.<|im_end|>\n{% endif %}" + model.template
    )
    assert "You are Bob." in why(replace(model, template=injecting), "default_system_prompt")


def test_a_doubled_beginning_is_found() -> None:
    doubled = replace(tiny(), template="{{ bos_token + bos_token }}" + tiny().template)
    assert outcomes(doubled)["one_beginning"] == "fail"


def test_a_template_without_an_end_fails_without_a_crash() -> None:
    mute = replace(tiny(), template="{% for m in messages %}{{ m.content }}\n{% endfor %}")
    assert outcomes(mute)["stop_token"] == "fail"


def test_a_nan_is_found_by_name() -> None:
    model = tiny()
    weight = model.network.get_parameter("model.norm.weight")
    weight.data[3] = float("nan")
    assert "model.norm.weight" in why(model, "finite_weights")


def test_dropout_left_on_is_found() -> None:
    model = tiny()
    for layer in model.network.model.layers:  # type: ignore[union-attr]
        layer.mlp = nn.Sequential(layer.mlp, nn.Dropout(0.5).train())
    assert outcomes(model)["deterministic"] == "fail"


def test_absolute_positions_are_counted_from_a_rows_own_beginning() -> None:
    with seeded(0):
        sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 259, "n_positions": 200}
        network = GPT2LMHeadModel(GPT2Config(**sizes, initializer_range=0.5)).eval()
    found = outcomes(replace(tiny(), network=network))
    assert [found[name] for name in ("right_padding", "left_padding", "cache", "deterministic")] == ["pass"] * 4


def test_a_network_that_looks_at_padding_is_found() -> None:
    model = tiny()
    rotary = model.network.model.rotary_emb  # type: ignore[union-attr]
    plain = rotary.forward
    rotary.forward = lambda x, position_ids: plain(x, torch.arange(x.shape[1])[None].expand(x.shape[0], -1) ** 2)
    assert outcomes(model)["cache"] == "fail"


def test_a_folder_whose_rotary_base_changed_after_loading_is_found(tmp_path: Path) -> None:
    save_folder(tiny(), tmp_path / "m")
    model = load(str(tmp_path / "m"), dtype=torch.float32)
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config |= {"rope_theta": 5e5, "rope_parameters": None}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    assert outcomes(model)["rope"] == "fail"


def test_offline_the_hub_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("it was asked"))
    assert environment.hub_state() == "offline"


def test_the_hub_is_given_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    asked: list[float] = []

    def silent(_: object, timeout: float) -> None:
        asked.append(timeout)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", silent)
    assert environment.hub_state() == "not reachable"
    assert asked == [2.0]


def test_the_environment_is_facts_that_json_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRINGBACK_CACHE", str(tmp_path / "not" / "there" / "yet"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    facts = environment.environment()
    assert json.loads(json.dumps(facts)) == facts
    assert {check.name: check.outcome for check in environment.check_environment(facts)}["embedded_model"] == "skip"
    full = environment.check_environment(facts | {"free_disk_bytes": 10})
    assert next(check.outcome for check in full if check.name == "disk") == "fail"

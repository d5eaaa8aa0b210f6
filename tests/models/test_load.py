import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from springback.errors import RefusedError
from springback.models import templates
from springback.models.aliases import SMOLLM2, folder_of
from springback.models.load import load
from springback.models.tiny import save_folder, tiny
from springback.models.tokens import encode
from springback.models.weights import files_sha256

IDS = torch.arange(3, 60)[None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_folder(tiny(), tmp_path_factory.mktemp("models") / "whole")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def change(folder: Path, name: str = "config.json", **values: Any) -> None:
    file = folder / name
    said = {**json.loads(file.read_text()), **values}
    file.write_text(json.dumps({key: value for key, value in said.items() if value is not None}))


def change_weights(folder: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    state = load_file(folder / "model.safetensors")
    edit(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def refused(spec: Path | str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        load(str(spec), dtype=torch.float32)
    return caught.value


def logits(folder: Path) -> torch.Tensor:
    return load(str(folder), dtype=torch.float32).network(IDS).logits


def test_what_was_saved_is_loaded_to_the_bit(whole: Path) -> None:
    model, made = load(str(whole), dtype=torch.float32), tiny()
    assert torch.equal(model.network(IDS).logits, made.network(IDS).logits)
    assert model.weights_sha256 == made.weights_sha256
    assert model.template_sha256 == made.template_sha256
    assert (model.name, model.path, model.context, model.notes) == ("whole", whole, made.context, ())
    assert encode(model, [{"role": "user", "content": "a"}], "b") == encode(
        made, [{"role": "user", "content": "a"}], "b"
    )


def test_it_comes_frozen_in_evaluation_mode_and_in_the_dtype_asked_for(whole: Path) -> None:
    model = load(str(whole), dtype=torch.bfloat16)
    assert not model.network.training
    assert {(weight.dtype, weight.requires_grad) for weight in model.network.parameters()} == {(torch.bfloat16, False)}


@pytest.mark.parametrize("layout", ["top", "inside", "both"])
def test_the_rotary_base_counts_wherever_it_is_written(folder: Path, layout: str) -> None:
    default = logits(folder)
    inside = {"rope_theta": 777.0, "rope_type": "default"}
    change(
        folder, rope_theta=None if layout == "inside" else 777.0, rope_parameters=None if layout == "top" else inside
    )
    found = logits(folder)
    assert not torch.allclose(found, default)
    reference = tiny().network
    turned = reference.model.rotary_emb  # type: ignore[union-attr]
    turned.inv_freq = 777.0 ** -(torch.arange(len(turned.inv_freq)) / len(turned.inv_freq))  # type: ignore[arg-type]
    torch.testing.assert_close(found, reference(IDS).logits)


def test_two_rotary_bases_in_one_folder_are_refused(folder: Path) -> None:
    change(folder, rope_theta=10_000.0, rope_parameters={"rope_theta": 777.0, "rope_type": "default"})
    assert "rope_theta 10000" in refused(folder).message


def test_a_missing_tensor_is_refused_by_name(folder: Path) -> None:
    change_weights(folder, lambda state: state.pop("model.layers.1.mlp.down_proj.weight"))
    assert "model.layers.1.mlp.down_proj.weight" in refused(folder).message


def test_a_tensor_of_another_shape_is_refused(folder: Path) -> None:
    change_weights(folder, lambda state: state.update({"model.norm.weight": torch.ones(5)}))
    assert refused(folder).kind == "model"


def test_a_tensor_too_many_is_a_note(folder: Path) -> None:
    change_weights(folder, lambda state: state.update({"value_head.weight": torch.ones(5)}))
    assert "value_head.weight" in load(str(folder), dtype=torch.float32).notes[0]


def test_only_pickled_weights_are_refused_and_not_opened(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    error = refused(folder)
    assert (error.kind, error.where) == ("pickle", str(folder / "pytorch_model.bin"))


def test_beside_pickled_weights_the_safetensors_are_read_and_it_is_said(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert "pytorch_model.bin" in load(str(folder), dtype=torch.float32).notes[0]


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_in_the_folder_is_refused_and_not_run(folder: Path, file: str) -> None:
    ran = folder / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Model: pass\nclass Tokenizer: pass\n")
    change(folder, file, auto_map={"AutoModelForCausalLM": "evil.Model", "AutoTokenizer": ["evil.Tokenizer", None]})
    assert refused(folder).kind == "remote_code"
    assert not ran.exists()


@pytest.mark.parametrize("keep", [0, 5, 200, -100])
def test_torn_weights_are_refused_by_name(folder: Path, keep: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    assert refused(folder).where == str(file)


def test_a_missing_shard_is_refused_by_name(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert refused(folder).where == str(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../out.safetensors"}}))
    assert refused(folder).kind == "model"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert refused(folder).kind == "model"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_torn_json_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text((folder / name).read_text()[:200])
    assert refused(folder).kind == "model"


def test_an_unknown_architecture_and_an_encoder_decoder_are_refused(folder: Path) -> None:
    change(folder, model_type="no_such_model")
    assert refused(folder).kind == "model"
    change(folder, model_type="t5", is_encoder_decoder=True)
    assert "encoder-decoder" in refused(folder).message


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    change(folder, vocab_size=200)
    change_weights(folder, lambda state: state.update({"model.embed_tokens.weight": torch.ones(200, 96)}))
    assert "ids up to 258" in refused(folder).message


def test_changed_weights_in_our_cache_are_noticed(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRINGBACK_CACHE", str(tmp_path))
    folder = Path(shutil.copytree(whole, folder_of(SMOLLM2)))
    about = {"gguf_sha256": SMOLLM2.sha256, "weights_sha256": files_sha256([whole / "model.safetensors"])}
    (folder / "springback.json").write_text(json.dumps(about))
    assert (
        load(SMOLLM2.name, dtype=torch.float32).origin
        == load(str(folder), dtype=torch.float32).origin
        == SMOLLM2.origin
    )
    change_weights(folder, lambda state: state["model.norm.weight"].add_(1e-3))
    assert refused(SMOLLM2.name).kind == "checksum"
    copied = Path(shutil.copytree(folder, tmp_path / "tuned"))
    assert load(str(copied), dtype=torch.float32).origin == "folder tuned"


def test_a_model_without_a_template_gets_the_plain_one_and_a_note(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    model = load(str(folder), dtype=torch.float32)
    assert model.template == templates.PLAIN
    assert "no chat template" in model.notes[0]


def test_the_random_model_has_a_name() -> None:
    assert load("tiny", dtype=torch.bfloat16).network.dtype == torch.bfloat16

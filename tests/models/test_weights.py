import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from springback.errors import RefusedError
from springback.models.facts import UNBOUNDED, describe
from springback.models.tiny import save_folder, tiny
from springback.models.weights import files_sha256, header, weight_files


def test_the_hash_of_one_file_is_what_sha256sum_prints(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    assert files_sha256([tmp_path / "a"]) == hashlib.sha256(b"one").hexdigest()
    assert files_sha256([tmp_path / "a", tmp_path / "b"]) == hashlib.sha256(b"onetwo").hexdigest()


def test_shards_are_taken_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("m-2.safetensors", "m-1.safetensors"):
        (tmp_path / name).write_bytes(b"")
    index = {"weight_map": {"a": "m-2.safetensors", "b": "m-1.safetensors", "c": "m-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert [file.name for file in weight_files(tmp_path)] == ["m-1.safetensors", "m-2.safetensors"]


def test_the_header_says_what_the_file_holds(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2, 3), "b": torch.ones(5, dtype=torch.bfloat16)}, tmp_path / "x")
    found = header(tmp_path / "x")
    assert found.parameters == 11
    assert found.dtypes == {"a": "F32", "b": "BF16"}


@pytest.mark.parametrize(
    "content", [b"", b"1234567", b"\xff" * 8 + b"{}", b"\x02" + b"\0" * 7 + b"[]", b"\x80\x04." * 9]
)
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(RefusedError, match="no whole safetensors"):
        header(tmp_path / "x")


def test_a_trainers_notes_are_not_weights(tmp_path: Path) -> None:
    (tmp_path / "training_args.bin").write_bytes(b"")
    with pytest.raises(RefusedError, match="holds no weights"):
        weight_files(tmp_path)


def test_the_facts_of_a_folder_are_those_of_its_network(tmp_path: Path) -> None:
    model = tiny(dtype=torch.bfloat16)
    save_folder(model, tmp_path / "m")
    facts, config = describe(str(tmp_path / "m")), model.network.config
    assert facts.parameters == sum(weight.numel() for weight in model.network.parameters())
    assert (facts.layers, facts.hidden, facts.vocab) == (
        config.num_hidden_layers,
        config.hidden_size,
        config.vocab_size,
    )
    assert (facts.context, facts.dtype, facts.name) == (model.context, "bfloat16", "m")
    assert facts.bytes == (tmp_path / "m" / "model.safetensors").stat().st_size


def test_a_model_without_a_stated_context_is_not_cut(tmp_path: Path) -> None:
    save_folder(tiny(), tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    del config["max_position_embeddings"]
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    assert describe(str(tmp_path / "m")).context == UNBOUNDED

"""A language model from a path, an alias or the hub: whole, frozen and in evaluation mode, or refused with a reason."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from springback.errors import RefusedError
from springback.models import templates, weights
from springback.models.adapter_folder import is_adapter, merged
from springback.models.facts import context_of, text_config
from springback.models.language_model import LanguageModel
from springback.models.place import TINY, Place, place
from springback.models.progress import quiet_bars
from springback.models.rope import require_same_rope
from springback.models.sound import checked_sha256, require_decoder, require_room_for
from springback.models.tiny import tiny


def load(
    spec: str,
    *,
    dtype: torch.dtype,
    device: str = "cpu",
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> LanguageModel:
    """The model that `spec` names: a folder, an alias, `org/name[@revision]`, a PEFT adapter's folder, or `tiny`.

    Raises:
        RefusedError: whatever `place` refuses; pickled, torn, missing or misshapen weights; code of the repository
            where it was not asked for; another rotary base than stated; no tokenizer.
    """
    if spec == TINY:
        model = tiny(dtype=dtype)
        model.network.to(device)  # pyright: ignore[reportArgumentType]
        return model
    where = place(spec, revision=revision, code=trust_remote_code)
    if not is_adapter(where.path):
        return _loaded(where, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
    base = weights.read_json(where.path / "adapter_config.json").get("base_model_name_or_path")
    if not base:
        raise RefusedError(
            "The adapter names no base model.",
            kind="model",
            where=str(where.path),
            next="Write base_model_name_or_path into adapter_config.json.",
        )
    below = load(base, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
    return _with_adapter(below, where)


def _loaded(where: Place, *, dtype: torch.dtype, device: str, trust_remote_code: bool) -> LanguageModel:
    config = weights.read_json(where.path / "config.json")
    require_decoder(where.path, config, trust_remote_code=trust_remote_code)
    files = weights.weight_files(where.path)
    for file in files:
        weights.header(file)
    digest = checked_sha256(where, files)
    tokenizer = _tokenizer(where.path, trust_remote_code=trust_remote_code)
    network, notes = _network(where.path, dtype=dtype, trust_remote_code=trust_remote_code)
    require_same_rope(config, network)
    require_room_for(tokenizer, network)
    network = network.to(device).eval().requires_grad_(requires_grad=False)  # pyright: ignore[reportArgumentType]
    template, said = _template(tokenizer)
    return LanguageModel(
        network=network,
        tokenizer=tokenizer,
        name=where.name,
        origin=where.origin,
        weights_sha256=digest,
        template_sha256=templates.text_sha256(template),
        licence=where.licence,
        path=where.path,
        template=template,
        context=context_of(text_config(config)),
        notes=(*_pickle_note(where.path), *notes, *said),
    )


def _with_adapter(base: LanguageModel, where: Place) -> LanguageModel:
    network, digest = merged(base.network, where.path)
    own = base
    if (where.path / "tokenizer_config.json").is_file():
        tokenizer = _tokenizer(where.path, trust_remote_code=False)
        require_room_for(tokenizer, network)
        template = templates.template_of(tokenizer) or base.template
        own = replace(base, tokenizer=tokenizer, template=template, template_sha256=templates.text_sha256(template))
    return replace(
        own,
        network=network.eval().requires_grad_(requires_grad=False),
        name=where.name,
        path=where.path,
        origin=f"adapter {where.name} merged into {base.origin}",
        weights_sha256=templates.text_sha256(base.weights_sha256 + digest),
    )


def _network(folder: Path, *, dtype: torch.dtype, trust_remote_code: bool) -> tuple[PreTrainedModel, tuple[str, ...]]:
    try:
        with quiet_bars():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                trust_remote_code=trust_remote_code,
            )
    except (ValueError, RuntimeError, OSError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise _unusable(folder, f"transformers cannot load it: {_first_line(error)}") from error
    network, found = loaded
    if missing := sorted(found["missing_keys"]):
        raise _unusable(folder, f"weights are missing and would be random: {_few(missing)}")
    if wrong := found["mismatched_keys"]:
        raise _unusable(folder, f"weights have another shape than config.json says: {_few(sorted(map(str, wrong)))}")
    spare = sorted(found["unexpected_keys"])
    note = f"The folder holds weights that this architecture does not use: {_few(spare)}"
    return network, ((note,) if spare else ())


def _tokenizer(folder: Path, *, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)
    except Exception as error:  # the tokenizers library raises bare Exceptions for a torn file
        raise _unusable(folder, f"its tokenizer cannot be read: {_first_line(error)}") from error
    if tokenizer.eos_token_id is None:
        raise _unusable(folder, "its tokenizer declares no end-of-text token")
    return tokenizer


def _template(tokenizer: PreTrainedTokenizerBase) -> tuple[str, tuple[str, ...]]:
    if (found := templates.template_of(tokenizer)) is not None:
        return found, ()
    return templates.PLAIN, ("The model brings no chat template; turns are written one a line, without role names.",)


def _pickle_note(folder: Path) -> tuple[str, ...]:
    pickled = weights.pickled_files(folder)
    note = "The folder also holds pickled weights ({}); the safetensors were read."
    return (note.format(pickled[0].name),) if pickled else ()


def _unusable(folder: Path, why: str) -> RefusedError:
    return RefusedError(
        f"{folder.name}: {why}.",
        kind="model",
        where=str(folder),
        next="Fetch or save the folder again, whole, or name another model.",
    )


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]

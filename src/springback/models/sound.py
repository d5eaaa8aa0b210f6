"""What a model's folder must be before numbers are read from it: a decoder, unchanged, without code."""

from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from springback.errors import RefusedError
from springback.models.place import Place
from springback.models.weights import files_sha256, read_json


def require_decoder(folder: Path, config: dict[str, Any], *, trust_remote_code: bool) -> None:
    """Refuse code of the folder that was not allowed, and encoder-decoders."""
    said = folder / "tokenizer_config.json"
    code = config.get("auto_map") or (read_json(said).get("auto_map") if said.is_file() else None)
    if code and not trust_remote_code:
        raise RefusedError(
            f"{folder.name} wants to run code of its own (auto_map); nothing of it was run.",
            kind="remote_code",
            where=str(folder / "config.json"),
            next="Read that code, then allow it by name; or take auto_map out if transformers knows this architecture.",
        )
    if config.get("is_encoder_decoder"):
        raise RefusedError(
            f"{folder.name} is an encoder-decoder; a decoder is needed.",
            kind="model",
            where=str(folder / "config.json"),
            next="Name a causal language model.",
        )


def checked_sha256(where: Place, files: tuple[Path, ...]) -> str:
    """The hash of the weights; refused where it is not the one that our cache noted when it made them."""
    digest = files_sha256(files)
    if where.weights_sha256 not in (None, digest):
        raise RefusedError(
            f"The weights of {where.name} have changed since they were converted: sha256 {digest}, "
            f"expected {where.weights_sha256}.",
            kind="checksum",
            where=str(files[0]),
            next=f"Delete {where.path} and pull the model again.",
        )
    return digest


def require_room_for(tokenizer: PreTrainedTokenizerBase, network: PreTrainedModel) -> None:
    """Refuse a tokenizer of another model: its ids would point beyond the embeddings."""
    embedding: Any = network.get_input_embeddings()
    rows = embedding.weight.shape[0]
    control = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    control.discard(tokenizer.eos_token_id)  # the others may be a padding token that nobody trained
    top = max((index for index in tokenizer.get_vocab().values() if index not in control), default=-1)
    if not 0 <= top < rows:
        raise RefusedError(
            f"The tokenizer writes ids up to {top}, the network has {rows} embeddings.",
            kind="model",
            where="tokenizer.json",
            next="Put the tokenizer of this very model into its folder.",
        )

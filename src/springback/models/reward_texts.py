"""What a saved reward model's folder must say so that plain transformers reads its scores at the same token.

transformers reads a classifier at the last token that is not the padding token. So the padding token must be one that
no conversation holds (many models pad with their stop: the score would be read before it), and the chat template must
end with the stop (ChatML writes a line feed after it: the score would be read there).
"""

from dataclasses import replace
from typing import Any, Final

from transformers import PreTrainedTokenizerBase

from springback.models import templates
from springback.models.language_model import LanguageModel
from springback.models.tokens import encode

PAD: Final = "<|pad|>"
ENDING: Final = "{{% if add_generation_prompt %}}{0}{{% else %}}{{% filter trim %}}{0}{{% endfilter %}}{{% endif %}}"
"""A template whose conversations end without white space, and whose prompts are as they were."""
PROBE: Final = ({"role": "user", "content": "a b"}, {"role": "assistant", "content": "c d"})


def with_padding(model: LanguageModel) -> LanguageModel:
    """The model with a padding token that stands in no conversation; a row of embeddings is added if need be."""
    token, tokenizer = _padding(model), model.tokenizer
    if token not in tokenizer.get_vocab():
        tokenizer.add_special_tokens({"pad_token": token})
        _make_room(model)
    tokenizer.pad_token, tokenizer.padding_side = token, "right"
    embedding: Any = model.network.get_input_embeddings()
    embedding.padding_idx = tokenizer.pad_token_id  # of a stop as padding, torch would drop the gradient
    for config in {id(one): one for one in (model.network.config, model.network.config.get_text_config())}.values():
        config.pad_token_id = tokenizer.pad_token_id
    return model


def ending_template(model: LanguageModel) -> tuple[str, str | None]:
    """The template for the folder, and what to know where it does not end with the stop."""
    fixed = "true" if templates.variables_of(model.tokenizer)["plain_bos"] else "false"
    own = model.template.replace("plain_bos", fixed) if model.template == templates.PLAIN else model.template
    for template in (own, ENDING.format(own)):
        if _ends(replace(model, template=template), model):
            return template, None
    return own, "Its chat template writes more after the stop: cut that before scoring with plain transformers."


def _ends(candidate: LanguageModel, model: LanguageModel) -> bool:
    """Whether a whole conversation is, token by token, the prompt and the answer that `encode` gives."""
    row = encode(model, PROBE[:1], PROBE[1]["content"])
    variables = templates.variables_of(model.tokenizer)
    try:
        whole = templates.render(candidate.template, PROBE, variables)
    except templates.TemplateFailedError:
        return False
    ids = tuple(model.tokenizer(whole, add_special_tokens=False)["input_ids"])
    return ids == row.prompt + row.answer and encode(candidate, PROBE[:1], PROBE[1]["content"]) == row


def _padding(model: LanguageModel) -> str:
    """A control token that the template never writes and no answer ends with; of these, its own padding token first."""
    tokenizer = model.tokenizer
    control = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    row = encode(model, PROBE[:1], PROBE[1]["content"])
    used = {*tokenizer.convert_ids_to_tokens(list(row.prompt + row.answer))}
    named: dict[str, str] = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    used |= {named[name] for name in ("eos_token", "bos_token", "unk_token") if name in named}
    own = [named["pad_token"]] if "pad_token" in named else []
    rows = _embeddings(model)
    free = [one for one in (*own, *control) if one not in used and one not in model.template]
    return next((one for one in free if 0 <= _id(tokenizer, one) < rows), PAD)


def _id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    found = tokenizer.convert_tokens_to_ids(token)
    return found if isinstance(found, int) else -1


def _embeddings(model: LanguageModel) -> int:
    embedding: Any = model.network.get_input_embeddings()
    return embedding.weight.shape[0]


def _make_room(model: LanguageModel) -> None:
    if len(model.tokenizer) > _embeddings(model):
        model.network.resize_token_embeddings(len(model.tokenizer), mean_resizing=False)

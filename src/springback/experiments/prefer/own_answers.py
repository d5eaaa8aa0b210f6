"""What the model itself answers to the prompts of pairs, as rejected answers of new pairs. Torch inside."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from springback.data.choices import Choice
from springback.data.records import plain
from springback.errors import RefusedError
from springback.experiments.audit.workbench import device_of, dtype_of
from springback.experiments.prefer.config import Design
from springback.models.language_model import LanguageModel
from springback.models.load import TINY, load
from springback.models.rollout import Rolled, roll, seed_of
from springback.models.tokens import encode_prompt, stop_ids


@dataclass(frozen=True, slots=True)
class Own:
    """The pairs that the model's own answers make, and what became of the others."""

    pairs: tuple[Choice, ...]
    same: int
    """Answers that are the chosen one: nothing is left to learn from them."""
    unusable: int
    """Answers without a text, or with a NUL in it, which no file of texts can hold."""
    cut_off: int
    """Answers that ran into the limit of tokens; they are kept, and the template writes an end behind them."""


class Writer:
    """One model, answering by its template at temperature 1."""

    def __init__(self, design: Design) -> None:
        audit, name = design.audit(), TINY if design.tiny else design.model
        self.design = design
        self.model: LanguageModel = load(
            name, dtype=dtype_of(audit), device=device_of(audit), trust_remote_code=design.trust_remote_code
        )

    def __call__(self, rows: Sequence[Choice], *, round: int, first: int) -> Own:
        """Own answers in the place of the rejected ones. The n-th row's draws depend on seed, round and `first` + n."""
        prompts = [self._prompt(row) for row in rows]
        seeds = [[seed_of(self.design.seed, round, first + index)] for index in range(len(rows))]
        rolled = roll(
            self.model.network, prompts, seeds, max_new_tokens=self.design.max_new_tokens, stop=stop_ids(self.model)
        )
        return _made(rows, [one for (one,) in rolled], [self._text(one) for (one,) in rolled])

    def _prompt(self, row: Choice) -> tuple[int, ...]:
        ids, most = encode_prompt(self.model, [asdict(turn) for turn in row.prompt]), self.design.max_new_tokens
        if len(ids) + most > self.model.context:
            raise RefusedError(
                f"A prompt has {len(ids)} tokens; with {most} new ones it passes the {self.model.context} that "
                f"{self.model.name} reads. Nothing is truncated.",
                kind="data", where=row.where, next="Shorten the prompt, leave it out, or lower --max-new-tokens.",
            )  # fmt: skip
        return ids

    def _text(self, one: Rolled) -> str:
        return str(self.model.tokenizer.decode(list(one.ids[: len(one.ids) - one.ended]), skip_special_tokens=True))


def _made(rows: Sequence[Choice], rolled: Sequence[Rolled], texts: Sequence[str]) -> Own:
    same = [plain(text) == plain(row.chosen) for row, text in zip(rows, texts, strict=True)]
    unusable = [not text.strip() or "\0" in text for text in texts]
    pairs = tuple(
        Choice(row.prompt, row.chosen, text, row.where)
        for row, text, gold, nothing in zip(rows, texts, same, unusable, strict=True)
        if not gold and not nothing
    )
    return Own(pairs, sum(same), sum(unusable), sum(not one.ended for one in rolled))

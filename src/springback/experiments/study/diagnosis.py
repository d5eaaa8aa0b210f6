"""Before any training: the inner products of every training pair of a data set.

They are those of the model that all trainings begin from, so they are taken once a data set (with LoRA once a seed too,
which draws its first factors). Euclidean, over all that is trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from springback.data.choices import Choice
from springback.experiments.audit.workbench import device_of
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.products import summary
from springback.experiments.study.config import Combination, Study
from springback.models.adapters import LoRA, attach
from springback.models.language_model import LanguageModel
from springback.models.load import TINY, load
from springback.models.pair_tokens import item_of, tokenised
from springback.models.rows import RowPair
from springback.train.entanglement import inner_products


@dataclass(slots=True)
class Start:
    """The model as every training finds it, for reading."""

    config: Study
    design: Design
    _model: LanguageModel | None = None
    _seed: int | None = None

    def model(self, seed: int) -> LanguageModel:
        """With the adapter of this seed; full tuning has none."""
        wanted = seed if self.config.tuner == "lora" else 0
        if self._model is None or self._seed != wanted:
            self._model, self._seed = self._loaded(wanted), wanted
        return self._model

    def answers(self, choice: Choice) -> tuple[Sequence[int], Sequence[int]]:
        """Token ids of both answers."""
        pair = item_of(self.model(self.config.seeds[0]), choice)
        assert isinstance(pair, RowPair)
        return pair.chosen.answer, pair.rejected.answer

    def diagnosed(self, rows: Sequence[Choice], seed: int) -> dict[str, Any]:
        """The body of a `diagnosis` record."""
        model = self.model(seed)
        pairs = [item for item in tokenised(model, rows).items if isinstance(item, RowPair)]
        found = inner_products(model.network, pairs)
        return {**summary(found.pairs), "n": len(pairs), "note": found.note, "columns": {
            "ww": [pair.ww for pair in found.pairs], "ll": [pair.ll for pair in found.pairs],
            "wl": [pair.wl for pair in found.pairs],
            "chosen": [pair.logprobs[0] for pair in found.pairs],
            "rejected": [pair.logprobs[1] for pair in found.pairs],
            "chosen_tokens": [pair.tokens[0] for pair in found.pairs],
            "rejected_tokens": [pair.tokens[1] for pair in found.pairs],
        }}  # fmt: skip

    def facts(self) -> dict[str, Any]:
        """What `run.json` says of the model."""
        told = ("name", "origin", "weights_sha256", "template_sha256", "licence", "context", "notes")
        model = self.model(self.config.seeds[0])
        return {name: getattr(model, name) for name in told} | {"tuner": self.config.tuner}

    def release(self) -> None:
        """Free the model before others are loaded."""
        self._model = None

    def _loaded(self, seed: int) -> LanguageModel:
        config, audit = self.config, self.design.audit()
        if config.tiny:
            torch.set_num_threads(1)
        model = load(TINY if config.tiny else config.model, dtype=torch.float32, device=device_of(audit),
                     trust_remote_code=config.trust_remote_code)  # fmt: skip
        if config.tuner == "lora":
            attach(model.network, LoRA(rank=config.rank, alpha=2.0 * config.rank, seed=seed))
        else:
            model.network.requires_grad_(True)  # noqa: FBT003
        model.network.eval()
        return model


def key_of(config: Study, one: Combination) -> str:
    """Key of the `diagnosis` record that a training belongs to."""
    return f"{one.data}/seed{one.seed}" if config.tuner == "lora" else one.data

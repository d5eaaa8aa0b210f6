"""Everything that can be found and refused before the run is opened: methods, data, models, room. Torch inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from springback.data.preferences import Preferences
from springback.errors import refused
from springback.experiments.audit.estimate import Estimate
from springback.experiments.prefer.offers import kind_of
from springback.experiments.prefer.preparing import prepare
from springback.experiments.study import data
from springback.experiments.study.config import Combination, Study


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a study begins with."""

    start: Any
    """A `diagnosis.Start`."""
    sets: Mapping[str, data.Pairs]
    expected: Mapping[str, Estimate]
    """Of one training on each set."""


def prepared(config: Study, sources: dict[str, Preferences]) -> Prepared:
    """Load the model, make the sets, look whether every method can be trained on them. RefusedError where not."""
    from springback.experiments.study.diagnosis import Start

    first = config.combinations()[0]
    start = Start(config, config.design(first, "train", "held_out"))
    sets = {name: data.pairs_of(name, config, sources, start.answers) for name in config.data}
    with TemporaryDirectory() as folder:
        expected = {name: _checked(config, found, Path(folder)) for name, found in sets.items()}
    return Prepared(start, sets, expected)


def require_methods(config: Study) -> None:
    """Refuse a loss that takes no pairs, and a cure that cannot stand before it."""
    from springback.train.cures.choose import cure_named
    from springback.train.preference.choose import loss_named
    from springback.train.preference_step import needs_of

    for loss, cure in config.methods():
        method = loss_named(loss, option="--losses")
        cure_named(cure, method, option="--cures")
        if kind_of(needs_of(method)) != "pairs":
            raise refused("losses", f"{loss} learns from {kind_of(needs_of(method))}, and the study trains on pairs")


def _checked(config: Study, found: data.Pairs, folder: Path) -> Estimate:
    """What the hungriest method takes; RefusedError where one of them cannot be trained on this set."""
    data.write(folder, found, config)
    train, held_out = (str(file) for file in data.files(folder, found.name, config))
    designs = [
        config.design(Combination("", found.name, loss, cure, config.seeds[0]), train, held_out)
        for loss, cure in config.methods()
    ]
    return max((prepare(design).expected for design in designs), key=lambda expected: expected.memory.total)

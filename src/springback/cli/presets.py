"""`--quick`, `--tiny`, `--thorough`: built-in configurations for what command line and file leave open."""

from collections.abc import Mapping
from typing import Final

from cyclopts import Argument, ArgumentCollection, Token

from springback.experiments.audit.config import PRESETS as AUDIT
from springback.experiments.cycle.config import PRESETS as CYCLE
from springback.experiments.rebound.config import DEFAULTS as REBOUND
from springback.experiments.study.config import PRESETS as STUDY
from springback.experiments.toy.config import PRESETS as TOY

Values = Mapping[str, object]
PRESETS: Final[Mapping[str, Mapping[str, Values]]] = {
    "audit": AUDIT, "rebound": AUDIT, "toy": TOY, "cycle": CYCLE, "study": STUDY,
}  # fmt: skip
"""Of each command that has them: name → option → value."""
LAST: Final[Mapping[str, Values]] = {"rebound": REBOUND}
"""What a command puts in the place of a shared configuration's own defaults, after the preset."""


def from_preset(_app: object, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """The hook that cyclopts calls after the configuration file's."""
    command = "".join(commands[-1:])
    options = {argument.name.removeprefix("--"): argument for argument in arguments if argument.parse}
    for name, values in PRESETS.get(command, {}).items():
        if name in options and options[name].tokens:
            _fill(options, values, f"--{name}")
    _fill(options, LAST.get(command, {}), f"springback {command}")


def _fill(options: Mapping[str, Argument], values: Values, source: str) -> None:
    """Give every option that was left open its value."""
    for field, value in values.items():
        argument = options[field.replace("_", "-")]
        if not argument.tokens:
            words = value if isinstance(value, tuple) else (value,)
            for index, word in enumerate(words):
                argument.append(Token(keyword=argument.name, value=str(word), source=source, index=index))

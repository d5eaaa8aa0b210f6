"""`--quick`, `--tiny`, `--thorough`: built-in configurations for what command line and file leave open."""

from cyclopts import ArgumentCollection, Token

from springback.experiments.audit.config import PRESETS


def from_preset(_app: object, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """The hook that cyclopts calls after the configuration file's."""
    if tuple(commands)[-1:] != ("audit",):
        return
    options = {argument.name.removeprefix("--"): argument for argument in arguments if argument.parse}
    asked = [name for name in PRESETS if name in options and options[name].tokens]
    for name in asked:
        for field, value in PRESETS[name].items():
            argument = options[field.replace("_", "-")]
            if not argument.tokens:
                words = value if isinstance(value, tuple) else (value,)
                for index, word in enumerate(words):
                    argument.append(Token(keyword=argument.name, value=str(word), source=f"--{name}", index=index))

"""`--config FILE`: a YAML file of options. What stands on the command line wins.

A value is read as the text it is, and converted like the same text on the command line: `1e-4` is a number where the
option is one (YAML alone would leave it a string), `08` and `no` stay as written where the option is a word.
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, get_args, get_origin

from cyclopts import Argument, ArgumentCollection, Token

from springback.errors import RefusedError

LARGEST: Final = 1_000_000
"""Bytes of a configuration file; a larger one is refused."""


@dataclass(frozen=True, slots=True)
class Given:
    """One option of a file."""

    name: str
    values: tuple[str, ...]
    where: str


def from_config_file(_app: object, _commands: object, arguments: ArgumentCollection) -> None:
    """Give every option that the command line leaves open the file's value; the hook that cyclopts calls."""
    options = {argument.name.removeprefix("--"): argument for argument in arguments if argument.parse}
    file = options.get("config")
    if file is not None and file.tokens:
        for given in read(Path(file.tokens[0].value)):
            _fill(options, given)
    for argument in options.values():
        _split_at_commas(argument)


def read(path: Path) -> Iterator[Given]:
    """The options in a YAML file, in its order. RefusedError names file and line of what is not `name: value`."""
    import yaml

    try:
        root = yaml.compose(_text(path), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        _refuse(f"no valid YAML: {error.problem}", f"{path}:{line}")
    except (yaml.YAMLError, RecursionError) as error:
        _refuse(f"no valid YAML: {error}", str(path))
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        _refuse("a configuration is a mapping of options to values", f"{path}:{root.start_mark.line + 1}")
    yield from _options(root, path)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            _refuse(f"a configuration of more than {LARGEST:,} bytes", str(path))
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        _refuse(f"cannot read the configuration: {error}", str(path))


def _options(root: Any, path: Path) -> Iterator[Given]:
    import yaml

    seen: set[str] = set()
    for key, value in root.value:
        where = f"{path}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            _refuse("an option's name is a word", where)
        name = key.value.replace("_", "-")
        if name in seen:
            _refuse(f"{key.value} stands there twice", where)
        seen.add(name)
        yield Given(name, tuple(_words(value, name, where)), where)


def _words(value: Any, name: str, where: str) -> Iterator[str]:
    import yaml

    items = value.value if isinstance(value, yaml.SequenceNode) else [value]
    if not items:
        _refuse(f"{name} has no value", where)
    for item in items:
        if not isinstance(item, yaml.ScalarNode):
            _refuse(f"{name} takes a value or a list of values, not something nested", where)
        if item.tag == "tag:yaml.org,2002:null":
            _refuse(f"{name} has no value", where)
        yield item.value


def _fill(options: dict[str, Argument], given: Given) -> None:
    argument = options.get(given.name)
    if argument is None or given.name == "config":
        _refuse_name(given, options)
    if len(given.values) > 1 and not _takes_several(argument):
        _refuse(f"{given.name} takes one value, not {len(given.values)}", given.where)
    if not argument.tokens:
        for index, value in enumerate(given.values):
            argument.append(Token(keyword=argument.name, value=value, source=given.where, index=index))


def _split_at_commas(argument: Argument) -> None:
    """`--sizes 16,64` is `--sizes 16 --sizes 64`. Paths are left alone: a file's name may hold a comma."""
    if not _takes_several(argument) or Path in get_args(argument.hint):
        return
    tokens = list(argument.tokens)
    if any("," in token.value for token in tokens):
        words = [(token, word) for token in tokens for word in token.value.split(",")]
        argument.tokens[:] = [token.evolve(value=word.strip(), index=i) for i, (token, word) in enumerate(words)]


def _takes_several(argument: Argument) -> bool:
    hints = [argument.hint, *get_args(argument.hint)]
    return any(get_origin(hint) in (tuple, list) for hint in hints)


def _refuse_name(given: Given, known: Iterable[str]) -> NoReturn:
    close = difflib.get_close_matches(given.name, [name for name in known if name != "config"], n=1)
    todo = f"Did you mean {close[0]}?" if close else "The command's --help lists its options."
    raise RefusedError(
        f"unknown option in the configuration: {given.name}", kind="option", where=given.where, next=todo
    )


def _refuse(message: str, where: str) -> NoReturn:
    todo = "Write one option a line, as in `seed: 3` or `seeds: [0, 1, 2]`."
    raise RefusedError(message, kind="config", where=where, next=todo)

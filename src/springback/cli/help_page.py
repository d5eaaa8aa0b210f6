"""How `--help` looks: plain text, one column of names, one of words, at most a hundred characters wide."""

import textwrap
from typing import Any, Final

from cyclopts.help import HelpEntry, HelpPanel

WIDEST: Final = 100
COLUMN: Final = 28
"""Where the words begin; a longer name has a line of its own."""


class HelpPage:
    """What cyclopts calls to print one panel, the usage and the description."""

    def __call__(self, console: Any, options: Any, panel: HelpPanel) -> None:
        entries = [_lines(entry, _width(options)) for entry in panel.entries if entry.display_labels]
        if entries:
            _print(console, "\n".join([f"{panel.title}:", *entries, ""]))

    def render_usage(self, console: Any, options: Any, usage: Any) -> None:
        if text := _plain(usage).strip():
            _print(console, f"Usage: {text.removeprefix('Usage: ')}\n")

    def render_description(self, console: Any, options: Any, description: Any) -> None:
        paragraphs = _plain(description).strip().split("\n\n")
        if any(paragraphs):
            _print(console, "\n\n".join(textwrap.fill(text, _width(options)) for text in paragraphs) + "\n")


def default_in_words(default: Any) -> str:
    """A default as one would type it."""
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return "on" if default else "off"
    return ",".join(map(str, default)) if isinstance(default, tuple | list) else str(default)


def _lines(entry: HelpEntry, width: int) -> str:
    name = "  " + ", ".join(entry.display_labels_with_metavar)
    words = [
        _plain(entry.description),
        f"[{'|'.join(entry.choices)}]" if entry.choices else "",
        f"[default: {entry.default}]" if entry.default is not None else "",
        "[required]" if entry.required else "",
    ]
    indent = " " * COLUMN
    text = textwrap.fill(" ".join(filter(None, words)), width, initial_indent=indent, subsequent_indent=indent)
    return f"{name}\n{text}" if len(name) > COLUMN - 2 else name + text[len(name) :]


def _plain(words: Any) -> str:
    """The text of what cyclopts hands over: a string, or something that rich can draw."""
    if words is None or isinstance(words, str):
        return words or ""
    if (text := getattr(words, "plain", None)) is not None:
        return text
    return _drawn(words)


def _drawn(words: Any) -> str:
    from rich.console import Console

    console = Console(no_color=True, highlight=False, markup=False, emoji=False, force_terminal=False, width=10_000)
    with console.capture() as capture:
        console.print(words, end="")
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _width(options: Any) -> int:
    return max(60, min(WIDEST, options.max_width))


def _print(console: Any, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)

"""What a hostile or broken text looks like on a page: nothing invisible, nothing that turns the line around.

Escaping for HTML is Jinja's (`autoescape`) and `charts.svg`'s work; this module makes characters visible.
"""

import unicodedata
from typing import Final

from markupsafe import Markup

KEPT: Final = frozenset("\u200c\u200d")
"""Joiners that scripts and emoji need; they cannot reorder a line."""
SYMBOLS: Final = {"\n": "↵", "\t": "⇥"}


def visible(text: str, *, lines: bool = False) -> str:
    """Control, format and surrogate characters as symbols or `⟨U+202E⟩`; with `lines`, lines still break."""
    if text.isascii() and text.isprintable():
        return text
    shown = "".join(_shown(character) for character in text.replace("\r\n", "\n"))
    return shown.replace("↵", "↵\n") if lines else shown


def finalize(thing: object) -> object:
    """What Jinja prints: markup as it is, text made visible (then escaped by autoescape), None as nothing."""
    if thing is None:
        return ""
    return visible(thing) if isinstance(thing, str) and not isinstance(thing, Markup) else thing


def said(text: object, *, name: str = "said") -> Markup:
    """Text by a model or a user: visible, escaped, and isolated from the direction of what surrounds it."""
    return Markup('<bdi class="{}" dir="auto">{}</bdi>').format(name, visible(str(text), lines=True))


def _shown(character: str) -> str:
    if character in SYMBOLS:
        return SYMBOLS[character]
    strange = unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} or ord(character) & 0xFFFE == 0xFFFE
    return f"⟨U+{ord(character):04X}⟩" if strange and character not in KEPT else character


def token(text: str) -> Markup:
    """A single token: one of spaces alone is shown as such, an empty one as the empty set."""
    return said(text if text.strip(" ") else "␣" * len(text) or "∅")

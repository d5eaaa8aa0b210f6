"""A page as a reader's tools see it: elements with their attributes and text, without a browser."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "input", "img"}
DRAWN = {"line", "rect", "path", "circle", "polyline", "polygon", "defs", "pattern"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    parent: "Element | None" = None
    children: list["Element | str"] = field(default_factory=list)

    def walk(self) -> Iterator["Element"]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text() for child in self.children)

    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    def all(self, name: str = "", **attributes: str) -> list["Element"]:
        """Elements of a name with these attributes; `class_` matches one class, `id` an id."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        return [e for e in self.walk() if (not name or e.name == name) and e.has(wanted)]

    def has(self, wanted: dict[str, str]) -> bool:
        return all(v in self.classes() if k == "class" else self.attributes.get(k) == v for k, v in wanted.items())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.here = Element("document", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.children.append(made)
        if tag not in VOID:
            self.here = made

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.here.children.append(Element(tag, {name: value or "" for name, value in attrs}, self.here))

    def handle_endtag(self, tag: str) -> None:
        assert self.here.name == tag, f"<{self.here.name}> is closed by </{tag}>"
        self.here = self.here.parent or self.root

    def handle_data(self, data: str) -> None:
        self.here.children.append(data)


def read(page: str) -> Element:
    """The document; AssertionError where an element is not closed in its turn."""
    reader = _Reader()
    reader.feed(page)
    assert reader.here is reader.root, f"<{reader.here.name}> is not closed"
    return reader.root

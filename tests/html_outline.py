"""A page read as its parts, for the tests of pages."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_VOID = {"meta", "br", "hr", "img", "link", "input"}


class Outline(HTMLParser):
    """Checks that every element is closed, and collects text, ids, data and where things point."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.data: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.open.append(tag)
        self.tags.append((tag, dict(attrs)))
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("href", "src", "xlink:href"):
                self.targets.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.data.append(data)
        elif self.open and self.open[-1] != "style":
            self.texts.append(data)


def outline_of(page: str) -> Outline:
    """The parts of a page of which every element is closed."""
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert not parser.open
    return parser


def asks_nobody(page: str) -> bool:
    """Whether the page could be opened without a network: nothing in it names another place."""
    targets = outline_of(page).targets
    inside = all(target.startswith(("#", "data:")) for target in targets)
    return inside and not re.search(r"https?:|//[\w.-]+\.\w|@import|url\((?!#|data:)", page)

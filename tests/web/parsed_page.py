"""What a person sees of a page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from django.http import HttpResponse


class Page(HTMLParser):
    """The text of a page's main part, its rows, links and titles. Raises AssertionError for anything unsafe."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(convert_charrefs=True)
        self.html = response.content.decode("utf-8")
        self.rows: list[str] = []
        self.links: dict[str, str] = {}
        self.attributes: list[tuple[str, str, str]] = []
        self._texts: list[str] = []
        self._link: tuple[str, list[str]] | None = None
        self._in_main = "<main" not in self.html
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for name, value in given.items():
            assert name != "style", "a strict Content-Security-Policy knows no inline style"
            assert not name.startswith("on"), f"inline script in {name}"
            assert not (name in ("href", "src", "action") and value.lower().startswith("javascript:"))
            self.attributes.append((tag, name, value))
        assert tag != "style"
        assert tag != "script" or "src" in given, "inline script"
        if tag == "main":
            self._in_main = True
        if "data-entry" in given:
            self.rows.append(given["data-entry"])
        if tag == "a":
            self._link = (given.get("href", ""), [])

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._link:
            self.links.setdefault(" ".join("".join(self._link[1]).split()), self._link[0])
            self._link = None
        if tag == "main":
            self._in_main = False

    def handle_data(self, data: str) -> None:
        if self._in_main:
            self._texts.append(data)
        if self._link:
            self._link[1].append(data)

    @property
    def text(self) -> str:
        """The text of the main part, white space as single spaces."""
        return re.sub(r"\s+", " ", " ".join(self._texts)).strip()

    def values(self, name: str) -> list[str]:
        """The values of this attribute, wherever it stands."""
        return [value for _, attribute, value in self.attributes if attribute == name]


def parse_page(response: HttpResponse, status: int = 200) -> Page:
    """The page, after looking at its status."""
    assert response.status_code == status, (response.status_code, response.content[:2000])
    return Page(response)

"""A page as its parts: rows, facts, tables, notices, buttons and links."""

from __future__ import annotations

from django.http import HttpResponse
from selectolax.lexbor import LexborHTMLParser, LexborNode


class Page:
    """The parts of a parsed page. Raises AssertionError for inline scripts and styles.

    Texts have single spaces as white space. A selector is a CSS selector.
    """

    def __init__(self, response: HttpResponse) -> None:
        self.html = response.content.decode("utf-8")
        self._tree = LexborHTMLParser(self.html)
        for element in self.all("*"):
            _check_is_safe(element)

    def all(self, selector: str) -> list[LexborNode]:
        """Return the elements that the selector matches, in the order of the page."""
        return self._tree.css(selector)

    def one(self, selector: str) -> LexborNode:
        """Return the only element that the selector matches. Raises AssertionError for none and for several."""
        found = self.all(selector)
        assert len(found) == 1, f"{len(found)} elements match {selector}"
        return found[0]

    def has(self, selector: str) -> bool:
        """Return whether an element matches the selector."""
        return bool(self.all(selector))

    def texts(self, selector: str) -> list[str]:
        """Return the texts of the elements that the selector matches."""
        return [text_of(element) for element in self.all(selector)]

    def values(self, name: str, selector: str = "") -> list[str]:
        """Return the values of this attribute, of all elements or of those that the selector matches."""
        return [element.attributes[name] or "" for element in self.all(f"{selector}[{name}]")]

    @property
    def text(self) -> str:
        """The text of the main part; of a part of a page, all of it."""
        return text_of(self.one("main" if self.has("main") else "body"))

    @property
    def rows(self) -> list[str]:
        """The events of the page, each as "stream ID"."""
        return self.values("data-entry")

    @property
    def links(self) -> dict[str, str]:
        """The address of each link by its text; of the first one if several links have the same text."""
        found: dict[str, str] = {}
        for link in self.all("a"):
            found.setdefault(text_of(link), link.attributes.get("href") or "")
        return found

    @property
    def buttons(self) -> list[str]:
        """The texts of the buttons in the main part, and of the links that look like buttons."""
        return self.texts("main button, main a.button")

    @property
    def facts(self) -> dict[str, str]:
        """The terms of the page's description lists with their values."""
        found: dict[str, str] = {}
        for term in self.all("dt"):
            value = term.next
            while value is not None and value.tag != "dd":
                value = value.next
            if value is not None:
                found[text_of(term)] = text_of(value)
        return found

    def table(self, selector: str = "table") -> list[dict[str, str]]:
        """Return the rows of the body of the only such table, each with its cells by column heading."""
        table = self.one(selector)
        headings = [text_of(heading) for heading in table.css("thead th, thead td")]
        cells = [[text_of(cell) for cell in row.css("th, td")] for row in table.css("tbody tr")]
        return [dict(zip(headings, row, strict=False)) for row in cells]

    @property
    def notices(self) -> list[tuple[str, str]]:
        """The notices of the page, each as its level ("success", "warning", …) and its text."""
        return [
            (name.removeprefix("notice-"), text_of(notice))
            for notice in self.all(".notice")
            for name in (notice.attributes["class"] or "").split()
            if name.startswith("notice-")
        ]

    def cells(self, selector: str, *headings: str) -> list[tuple[str, ...]]:
        """Return the rows of the body of the only such table, each with its cells below these column headings."""
        return [tuple(row[heading] for heading in headings) for row in self.table(selector)]

    @property
    def definitions(self) -> dict[str, list[str]]:
        """The terms of the page's description lists, each with all its values."""
        found: dict[str, list[str]] = {}
        for term in self.all("dt"):
            found[text_of(term)] = values = []
            value = term.next
            while value is not None and value.tag != "dt":
                if value.tag == "dd":
                    values.append(text_of(value))
                value = value.next
        return found

    def pairs(self, names: str, values: str) -> list[tuple[str, str]]:
        """Return the texts of the elements that the first selector matches, each with its text of the second.

        Raises ValueError if the selectors match different numbers of elements.
        """
        return list(zip(self.texts(names), self.texts(values), strict=True))


def text_of(element: LexborNode) -> str:
    """Return the text of an element."""
    return " ".join(element.text(separator=" ").split())


def _check_is_safe(element: LexborNode) -> None:
    given = element.attributes
    assert element.tag != "style", "inline style"
    assert element.tag != "script" or "src" in given, "inline script"
    for name, value in given.items():
        assert name != "style", "a strict Content-Security-Policy forbids inline styles"
        assert not name.startswith("on"), f"inline script in {name}"
        assert not (name in ("href", "src", "action") and (value or "").lower().startswith("javascript:"))


def parse_page(response: HttpResponse, status: int = 200) -> Page:
    """Return the page, after a check of its status."""
    assert response.status_code == status, (response.status_code, response.content[:2000])
    return Page(response)

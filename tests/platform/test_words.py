"""Names, docstrings, comments, pages, messages and documentation use the words of the field."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from evdash.config.environment import CHECKOUT
from tests.platform.words import AVOIDED, AVOIDED_IN_NAMES, NAMES_THAT_STAY

FILES = [path for path in sorted((CHECKOUT / "evdash").rglob("*.py")) if "migrations" not in path.parts]
_FOR_TOOLS = ("noqa", "type:", "fmt:")


def texts(path: Path) -> Iterator[str]:
    """Yield the docstrings, attribute docstrings included, and the comments of a module."""
    source = path.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not token.string.lstrip("# ").startswith(_FOR_TOOLS):
            yield token.string.lstrip("# ")


def test_no_docstring_or_comment_uses_a_word_to_avoid() -> None:
    found = [
        f"{path.relative_to(CHECKOUT)}: {text[:90]!r}: {each.advice}"
        for path in FILES
        for text in texts(path)
        for each in AVOIDED
        if each.pattern.search(text)
    ]
    assert not found, "\n".join(found)


def advice_on(name: str) -> str:
    """Return the advice of the first part of a name that is to be avoided, or an empty string."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")
    return next((AVOIDED_IN_NAMES[part] for part in parts if part in AVOIDED_IN_NAMES), "")


def names_in(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each name in a module, of variables, functions, classes and attributes."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


def test_no_name_has_a_word_to_avoid() -> None:
    found = [
        f"{path.relative_to(CHECKOUT)}:{line}: {name}: {advice}"
        for path in FILES
        for line, name in names_in(path.read_text())
        if name not in NAMES_THAT_STAY and (advice := advice_on(name))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", ["told", "_asked", "is_told", "FirstSaid", "SAID_MAX"])
def test_a_name_to_avoid_is_found(name: str) -> None:
    assert [advice_on(each) for _, each in names_in(f"{name} = 1")] == [advice_on(name)]
    assert advice_on(name)


@pytest.mark.parametrize("name", ["masked", "requested", "toldo"])
def test_a_name_that_only_contains_the_letters_is_not_found(name: str) -> None:
    assert not advice_on(name)


def shown_texts() -> Iterator[tuple[Path, str]]:
    """Yield what people read: lines of templates and documentation, and the strings of modules."""
    for path in [*(CHECKOUT / "templates").rglob("*.html"), *(CHECKOUT / "docs").glob("*.md"), CHECKOUT / "README.md"]:
        for line in re.sub(r"{%.*?%}|{{.*?}}|<[^>]*>", " ", path.read_text(), flags=re.DOTALL).splitlines():
            yield path, line
    for path in FILES:
        tree = ast.parse(path.read_text())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield path, node.value


def test_no_page_message_or_document_uses_a_word_to_avoid() -> None:
    found = [
        f"{path.relative_to(CHECKOUT)}: {text.strip()[:90]!r}: {each.advice}"
        for path, text in shown_texts()
        for each in AVOIDED
        if not each.in_code_only and each.pattern.search(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text", ["The stream was made anew.", "Whether it fits.", "This is no filter.", "As it was told."]
)
def test_a_word_to_avoid_is_found(text: str) -> None:
    assert any(each.pattern.search(text) for each in AVOIDED)

"""Docstrings and comments use the words of the field."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from evdash.config.environment import CHECKOUT
from tests.platform.words import AVOIDED

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


@pytest.mark.parametrize("text", ["The stream was made anew.", "Whether it fits.", "This is no filter."])
def test_a_word_to_avoid_is_found(text: str) -> None:
    assert any(each.pattern.search(text) for each in AVOIDED)

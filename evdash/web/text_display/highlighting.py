"""Highlighted code, JSON, diffs and Python tracebacks: Pygments' tokens as spans of a few classes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Final

from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Token, _TokenType

from evdash.web.control_characters import escape_control_chars_html

# Longer texts are not highlighted. Pygments' lexers can need a time that grows with the square of the length: up to 1 s
# for 10,000 characters of these languages. That of JSON is linear.
HIGHLIGHTED_CHARS: Final = 10_000
JSON_CHARS: Final = 100_000
# The languages of code blocks. Those of C and Java need minutes for some texts.
LANGUAGES: Final = {
    **{name: name for name in ("bash", "css", "go", "html", "javascript", "json", "python", "pytb", "ruby", "rust")},
    **{name: name for name in ("sql", "toml", "xml", "yaml", "diff")},
    **{"sh": "bash", "shell": "bash", "console": "bash", "zsh": "bash", "js": "javascript", "jsx": "javascript"},
    **{"ts": "javascript", "tsx": "javascript", "typescript": "javascript", "py": "python", "python3": "python"},
    **{"rb": "ruby", "yml": "yaml", "patch": "diff", "jsonc": "json", "json5": "json", "rs": "rust", "golang": "go"},
    **{"traceback": "pytb", "svg": "xml"},
}

_DIFF: Final = re.compile(
    r"\s*(?:diff --git |Index: \S|--- \S.*\n\+\+\+ \S|@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@|\*\*\* Begin Patch)"
)
_TRACEBACK: Final = "Traceback (most recent call last):"
_CLASSES: Final = (
    (Token.Comment, "comment"),
    (Token.Keyword, "keyword"),
    (Token.Literal.String, "string"),
    (Token.Literal.Number, "number"),
    (Token.Name.Tag, "name"),
    (Token.Name.Attribute, "name"),
    (Token.Name.Function, "name"),
    (Token.Name.Class, "name"),
    (Token.Name.Decorator, "name"),
    (Token.Name.Exception, "error"),
    (Token.Generic.Error, "error"),
    (Token.Generic.Traceback, "heading"),
)


def language_of(text: str) -> str:
    """Return the language of a text without a statement of it: `json`, `diff`, `pytb` (a traceback), or ""."""
    if _TRACEBACK in text:
        return "pytb"
    if _DIFF.match(text):
        return "diff"
    return "json" if len(text) <= JSON_CHARS and _is_json(text) else ""


def highlighted(text: str, language: str) -> SafeString:
    """Return the HTML of a text in a language: its characters unchanged, in spans of the classes `code-…`.

    A text in another language than LANGUAGES, or longer than the limits above, has no spans.
    """
    name = LANGUAGES.get(language.lower(), "")
    if not name or len(text) > (JSON_CHARS if name in ("json", "diff") else HIGHLIGHTED_CHARS):
        return conditional_escape(escape_control_chars_html(text))
    tokens = _diff(text) if name == "diff" else _tokens(text, name)
    runs = ((kind, "".join(value for _, value in run)) for kind, run in groupby(tokens, itemgetter(0)))
    return format_html_join("", "{}", ((_span(kind, run),) for kind, run in runs))


def _tokens(text: str, name: str) -> Iterator[tuple[str, str]]:
    # Some lexers do not end, or need a square of the time, for a last line without its line break.
    left = len(text)
    for _, kind, value in _lexer(name).get_tokens_unprocessed(f"{text}\n"):
        yield _class_of(kind), value[:left]
        left -= len(value[:left])


def _diff(text: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a unified diff with their classes. Pygments' lexer needs a line break at the end of each."""
    for line in text.splitlines(keepends=True):
        is_head = line.startswith(("+++", "---", "diff ", "Index: ", "@@", "*** ", "index "))
        yield "heading" if is_head else {"+": "inserted", "-": "deleted"}.get(line[0], ""), line


def _span(kind: str, text: str) -> SafeString:
    visible = escape_control_chars_html(text)
    return format_html('<span class="code-{}">{}</span>', kind, visible) if kind else conditional_escape(visible)


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "[") or text.rstrip()[-1:] not in ("}", "]"):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


@cache
def _lexer(name: str) -> Lexer:
    return get_lexer_by_name(name)


@cache
def _class_of(token: _TokenType) -> str:
    return next((name for kind, name in _CLASSES if token in kind), "")

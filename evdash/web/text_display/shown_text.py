"""The text of a message, a result or a field as HTML: whole, or folded to its beginning.

A text is displayed as terminal output, code (JSON, a diff, a traceback), Markdown or plain text, by its own signs.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from django.utils.html import format_html
from django.utils.safestring import SafeString

from evdash.events.conversation import TextKind
from evdash.web.control_characters import escape_control_chars_html
from evdash.web.text_display.highlighting import highlighted, language_of
from evdash.web.text_display.markdown import has_markdown, markdown
from evdash.web.text_display.terminal import has_terminal_codes, terminal_html

# A longer text is displayed as plain text: the worst text of this length takes about 1 s (many brackets).
MARKDOWN_CHARS: Final = 20_000
# A longer terminal output is displayed with its control sequences marked.
TERMINAL_CHARS: Final = 500_000
CACHE_BYTES: Final = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Fold:
    """The limits of a folded text. One that is longer by less than a quarter is not folded."""

    lines: int
    chars: int

    def end(self, text: str) -> int:
        """Return the length of the beginning to show; the length of the text if it is not folded."""
        beginning = text[: self.chars * 5 // 4]
        lines = beginning.rstrip().split("\n")
        if len(lines) > self.lines * 5 // 4:
            return min(len("\n".join(lines[: self.lines])), self.chars)
        if len(beginning) == len(text):
            return len(text)
        # Not in the middle of a line or word, if one ends shortly before.
        boundaries = (
            text.rfind("\n", self.chars * 3 // 4, self.chars),
            text.rfind(" ", self.chars * 9 // 10, self.chars),
        )
        return max(boundaries) if max(boundaries) > 0 else self.chars


TURN: Final = Fold(lines=12, chars=1_200)
"""The fold of messages and results in a conversation, because a page has a hundred of them."""


@dataclass(frozen=True, slots=True)
class ShownText:
    """The context of templates/text_display/_text.html."""

    html: SafeString
    source: str  # the displayed part as written, if its rendering does not have all its characters, else ""
    is_folded: bool


def shown_text(text: str, *, kind: TextKind, end: int | None = None) -> ShownText:
    """Return the text, whole or up to `end`.

    `kind`: what the text is if it has no signs of another form.
    """
    end = len(text) if end is None else min(end, len(text))
    html, has_source = _cache.rendered(text, end, kind=kind)
    return ShownText(html, text[:end] if has_source else "", end < len(text))


def _rendered(text: str, end: int, *, kind: TextKind) -> tuple[SafeString, bool]:
    """Return the HTML of the text up to `end`, and whether it lacks some of its characters.

    The whole text decides how its beginning is displayed.
    """
    shown = text[:end]  # HTML drops a line break after <pre>, so each <pre> begins with one
    if has_terminal_codes(text) and end <= TERMINAL_CHARS:
        return format_html('<pre class="code-text" dir="ltr">\n{}</pre>', terminal_html(shown)), True
    is_markdown = kind == "prose" and end <= MARKDOWN_CHARS and has_markdown(text[:MARKDOWN_CHARS])
    language = language_of(text)
    if language and not (is_markdown and language == "pytb"):  # Markdown quotes a traceback in a code block
        return format_html('<pre class="code-text" dir="ltr">\n{}</pre>', highlighted(shown, language)), False
    if is_markdown:
        return format_html('<div class="prose" dir="auto">{}</div>', markdown(shown)), True
    return format_html(
        '<pre class="{}" dir="auto">\n{}</pre>' if kind == "code" else '<div class="{}" dir="auto">{}</div>',
        "code-text" if kind == "code" else "plain-text",
        escape_control_chars_html(shown),
    ), False


class _Cache:
    """The last rendered texts of this process, by their content, up to CACHE_BYTES."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: OrderedDict[tuple[str, int, TextKind], tuple[SafeString, bool]] = OrderedDict()
        self._bytes = 0

    def rendered(self, text: str, end: int, *, kind: TextKind) -> tuple[SafeString, bool]:
        """Return the result of `_rendered`. A text of more than 1 % of the cache is not kept."""
        if len(text) * 100 > CACHE_BYTES:
            return _rendered(text, end, kind=kind)
        key = (text, end, kind)
        with self._lock:
            if key in self._texts:
                self._texts.move_to_end(key)
                return self._texts[key]
        made = _rendered(text, end, kind=kind)
        with self._lock:
            if key not in self._texts:
                self._texts[key] = made
                self._bytes += _size(text, made)
            while self._bytes > CACHE_BYTES:
                (oldest, *_), old = self._texts.popitem(last=False)
                self._bytes -= _size(oldest, old)
        return made


def _size(text: str, made: tuple[SafeString, bool]) -> int:
    return 4 * (len(text) + len(made[0]))  # a character has at most 4 bytes


_cache: Final = _Cache()

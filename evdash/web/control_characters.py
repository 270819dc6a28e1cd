"""Safe display of event text: invisible characters, and those that change their neighbours, become marks."""

from __future__ import annotations

import re
import unicodedata

from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

# Control characters except line break and tab, invisible and direction-changing characters, tags, lone surrogates.
# Tags can hide instructions from people but not from models. The joiners U+200C and U+200D are excluded, because
# scripts and composed emoji need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]+|\r(?!\n)"
)
_LONGEST_RUN = 8


def escape_control_chars_html(text: str) -> SafeString | str:
    """Return the text with each run of unseen characters as a mark that names them.

    A text without such characters is returned unescaped; the template escapes it.
    """
    if text.isascii() and text.isprintable():  # as nearly all texts; the search below takes ten times as long
        return text
    pieces: list[str] = []
    end = 0
    for match in _UNSEEN.finditer(text):
        pieces += [text[end : match.start()], _mark(match[0])]
        end = match.end()
    if not pieces:
        return text
    pieces.append(text[end:])
    return format_html_join("", "{}", ((conditional_escape(piece),) for piece in pieces))


def escape_control_chars_text(text: str) -> str:
    """Return the text with unseen characters as signs, for titles and labels, which are plain text."""
    return text if text.isascii() and text.isprintable() else _UNSEEN.sub(lambda match: _signs(match[0]), text)


def _mark(characters: str) -> SafeString:
    title = ", ".join(_name(character) for character in characters[:_LONGEST_RUN])
    # Its own direction keeps the mark in one piece next to any text, and out of the text's direction.
    return format_html('<span class="unseen" dir="ltr" title="{}">{}</span>', title, _signs(characters))


def _signs(characters: str) -> str:
    shown = "".join(_sign(character) for character in characters[:_LONGEST_RUN])
    return f"{shown}+{len(characters) - _LONGEST_RUN}" if len(characters) > _LONGEST_RUN else shown


def _sign(character: str) -> str:
    # Few fonts have the control pictures of Unicode, so they are not used.
    return f"‹{ord(character):02X}›"


def _name(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, 'CONTROL CHARACTER')}"

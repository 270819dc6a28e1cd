"""Text from events made safe to look at: what has no shape, or changes the shape of its neighbours, becomes a mark."""

from __future__ import annotations

import re
import unicodedata

from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

# Controls (a line break and a tab aside), invisible and direction-changing characters, tags (with which instructions
# are hidden from a person and not from a model), lone surrogates. The joiners U+200C and U+200D stay: scripts and
# composed emoji need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]+|\r(?!\n)"
)
_LONGEST_RUN = 8


def escape_control_chars_html(text: str) -> SafeString | str:
    """The text, escaped, with every run of unseen characters as a mark that names them."""
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
    """The text with every unseen character as its sign, for titles and labels, which are plain text."""
    return _UNSEEN.sub(lambda match: _signs(match[0]), text)


def _mark(characters: str) -> SafeString:
    title = ", ".join(_name(character) for character in characters[:_LONGEST_RUN])
    # With a direction of its own it stays whole beside any text, and does not decide the direction of that text.
    return format_html('<span class="unseen" dir="ltr" title="{}">{}</span>', title, _signs(characters))


def _signs(characters: str) -> str:
    shown = "".join(_sign(character) for character in characters[:_LONGEST_RUN])
    return f"{shown}+{len(characters) - _LONGEST_RUN}" if len(characters) > _LONGEST_RUN else shown


def _sign(character: str) -> str:
    # Not the control pictures of Unicode: few fonts have them.
    return f"‹{ord(character):02X}›"


def _name(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, 'CONTROL CHARACTER')}"

"""Terminal output as HTML: colours of ECMA-48 (SGR) as classes, without any other control sequence.

The packages on PyPI for this write inline styles, which the Content-Security-Policy forbids, are without a release for
years, or have a licence that evdash does not use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from evdash.web.control_characters import escape_control_chars_html

# ECMA-48: CSI sequences; then strings up to their terminator (OSC with hyperlinks and titles, DCS, SOS, PM, APC); then
# other escape sequences. A string without an end loses its introducer only, so that the text after it is displayed.
_SEQUENCE: Final = re.compile(
    r"(?:\x1b\[|\x9b)(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
    r"|\x1b"
)
_NAMES: Final = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_ON: Final = {1: "bold", 2: "faint", 3: "italic", 4: "underline", 7: "inverse", 9: "struck"}
_OFF: Final = {22: ("bold", "faint"), 23: ("italic",), 24: ("underline",), 27: ("inverse",), 29: ("struck",)}
# More spans would make the page slow; the rest of the text has no colours.
SPANS_MAX: Final = 4_000


def has_terminal_codes(text: str) -> bool:
    """Return whether the text has escape sequences of a terminal."""
    return "\x1b" in text or "\x9b" in text


def terminal_html(text: str) -> SafeString:
    """Return the text with its colours as spans of the classes `ansi-…`, and without its control sequences."""
    pieces = [
        format_html('<span class="{}">{}</span>', classes, visible) if classes else visible
        for part, classes in _parts(text)
        if part
        for visible in (format_html("{}", escape_control_chars_html(part)),)
    ]
    return format_html_join("", "{}", ((piece,) for piece in pieces))


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Yield the text between sequences, with the classes of each part."""
    style: dict[str, str] = {}
    end = spans = 0
    for match in _SEQUENCE.finditer(text):
        yield text[end : match.start()], _classes(style)
        end = match.end()
        if match["final"] == "m" and not match["parameters"].startswith(("<", "=", ">", "?")):
            spans += 1
            style = _styled(style, match["parameters"]) if spans < SPANS_MAX else {}
    yield text[end:], _classes(style)


def _classes(style: dict[str, str]) -> str:
    return " ".join(f"ansi-{value}" for value in style.values())


def _styled(style: dict[str, str], parameters: str) -> dict[str, str]:
    """Return the style after an SGR sequence. A colour outside of the palette becomes the nearest of its colours."""
    style = dict(style)
    codes = iter([int(code) if code.isdecimal() and len(code) < 4 else 0 for code in re.split("[;:]", parameters)])
    for code in codes:
        if code == 0:
            style.clear()
        elif code in _ON:
            style[_ON[code]] = _ON[code]
        elif code in _OFF:
            for name in _OFF[code]:
                style.pop(name, None)
        elif code in (39, 49):
            style.pop("ink" if code == 39 else "ground", None)
        elif code in (38, 48):
            if name := _extended(codes):
                style["ink" if code == 38 else "ground"] = name if code == 38 else f"on-{name}"
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style["ink"] = _NAMES[code % 10]
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style["ground"] = f"on-{_NAMES[code % 10]}"
    return style


def _extended(codes: Iterator[int]) -> str:
    """Return the name of the colour after 38 or 48: `5;N` of the 256 colours, or `2;R;G;B`; "" for another one."""
    kind = next(codes, 0)
    if kind == 5:
        number = next(codes, 0)
        if number < 16:
            return _NAMES[number % 8]
        if number >= 232:
            return _nearest(*[(number - 232) * 10 + 8] * 3)
        cube = number - 16
        return _nearest(*(level * 51 for level in (cube // 36, cube // 6 % 6, cube % 6)))
    return _nearest(next(codes, 0), next(codes, 0), next(codes, 0)) if kind == 2 else ""


def _nearest(red: int, green: int, blue: int) -> str:
    """Return the name of the palette's colour with the same strong components."""
    strongest = max(red, green, blue)
    if strongest < 64:
        return "black"
    bits = sum(bit for bit, level in ((1, red), (2, green), (4, blue)) if level > strongest * 0.6)
    return _NAMES[bits]

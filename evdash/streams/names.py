r"""Names of keys, consumer groups and consumers as text. Redis allows any bytes, evdash keeps them as text.

A byte that is not UTF-8, and a control character, becomes `\xNN`. A backslash that would look like the start of such an
escape becomes `\x5c`. The empty name becomes `""`. The text of a name is therefore unique, reversible and without
control characters: addresses, forms, SQL and the audit log use it without a further rule. It may have other invisible
characters, such as U+202E, which pages show as marks.
"""

from __future__ import annotations

import re
from typing import Final

EMPTY: Final = '""'
"""The text of the empty name."""
# Lone surrogates are the bytes that are not UTF-8 (PEP 383). NUL and other controls do not survive SQL or a form.
_ESCAPED: Final = re.compile(r"\\(?=x[0-9a-f]{2})|[\x00-\x1f\x7f-\x9f\udc80-\udcff]")
_ESCAPE: Final = re.compile(rb"\\x([0-9a-f]{2})")


def name_of(raw: bytes | str) -> str:
    """Return the text of a name that Redis reports."""
    text = raw.decode("utf-8", errors="surrogateescape") if isinstance(raw, bytes) else raw
    if text.isprintable() and "\\" not in text and text not in ("", EMPTY):  # as nearly all names
        return text
    if text == EMPTY:
        return r"\x22\x22"
    return _ESCAPED.sub(_escape, text) or EMPTY


def canonical_name(written: str) -> str:
    """Return the text of a name that a person wrote: any byte may be escaped, or not be UTF-8."""
    return name_of(raw_name(written))


def raw_name(name: str) -> bytes:
    """Return the bytes of a name from its text, for a command."""
    if name == EMPTY:
        return b""
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), name.encode("utf-8", errors="surrogateescape"))


def _escape(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode("utf-8", errors="surrogateescape"))

"""How the log keeps an entry's raw pairs: a MessagePack array `[name, value, name, value, …]` of byte strings.

Lossless in every way that an entry has: order, repeated fields, bytes that are no text, empty names and values.
Format: https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from __future__ import annotations

import msgpack


def pack(pairs: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The pairs as bytes for the log."""
    packed: bytes = msgpack.packb([part for pair in pairs for part in pair], use_bin_type=True)
    return packed


def unpack(packed: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The pairs that `pack` was given."""
    parts = iter(msgpack.unpackb(packed, raw=True, max_bin_len=2**31))
    return tuple(zip(parts, parts, strict=True))

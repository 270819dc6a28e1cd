"""Snapshots: stored session states. They keep any later state a few hundred events away from one.

A dumped state has these parts, in this order:

    a line with the version of the fold
    a CRC-32 of all that follows
    the fingerprint of the decoder (events/decoder.py)
    the length of the head
    the head: compressed JSON of everything but the full chunks of lists
    the chunks, each compressed separately

Loading unpacks the head only. A chunk is unpacked at its first use.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final, get_args, get_origin, get_type_hints

from evdash.events.decoder import fingerprint
from evdash.events.session.identities import Identities
from evdash.events.session.persistent import Chunk, PersistentList, PersistentMap
from evdash.events.session.reducer import FOLD_VERSION
from evdash.events.session.state import SessionState

_MAGIC: Final = b"evdash session "
_NUMBER_BYTES: Final = 4


class UnreadableSnapshot(ValueError):
    """Unreadable snapshot. The message states the reason. The remedy is to fold from the start."""


def dump(state: SessionState) -> bytes:
    """Return the state as bytes. Chunks that an earlier dump packed are not packed again."""
    chunks: list[bytes] = []
    tree = _packed(state, chunks)
    head = json.dumps([tree, [len(chunk) for chunk in chunks]], ensure_ascii=False, separators=(",", ":"))
    packed = zlib.compress(head.encode("utf-8"), level=3)
    body = b"".join([_decoder(), len(packed).to_bytes(_NUMBER_BYTES, "big"), packed, *chunks])
    return _first_line() + zlib.crc32(body).to_bytes(_NUMBER_BYTES, "big") + body


def load(dumped: bytes) -> SessionState:
    """Return the dumped state. Raise UnreadableSnapshot, also for another FOLD_VERSION or another decoder."""
    first_line, _, rest = dumped.partition(b"\n")
    if first_line + b"\n" != _first_line():
        raise UnreadableSnapshot(
            f"The snapshot begins with {first_line[:40]!r}; version {FOLD_VERSION} of the fold reads only "
            f"{_first_line().rstrip()!r}."
        )
    body = rest[_NUMBER_BYTES:]
    if zlib.crc32(body) != int.from_bytes(rest[:_NUMBER_BYTES], "big"):
        raise UnreadableSnapshot(f"The snapshot is damaged: the checksum of its {len(body):,} bytes does not match.")
    decoder = _decoder()
    if not body.startswith(decoder):
        raise UnreadableSnapshot("The snapshot was folded from events of another decoder.")
    body = body[len(decoder) :]
    start = _NUMBER_BYTES + int.from_bytes(body[:_NUMBER_BYTES], "big")
    tree, sizes = json.loads(zlib.decompress(body[_NUMBER_BYTES:start]))
    chunks: list[bytes] = []
    for size in sizes:
        chunks.append(body[start : start + size])
        start += size
    state: SessionState = _unpacked(tree, SessionState, iter(chunks).__next__)
    return state


def _first_line() -> bytes:
    return _MAGIC + f"{FOLD_VERSION}\n".encode("ascii")


def _decoder() -> bytes:
    return fingerprint().encode("ascii")


def _packed(value: Any, chunks: list[bytes]) -> Any:
    if isinstance(value, PersistentList):
        packed = [chunk.packed for chunk in value.chunks]
        chunks += packed
        return [len(packed), value.dropped, value.tail]
    if isinstance(value, PersistentMap):
        return {key: _packed(each, chunks) for key, each in value.items()}
    if isinstance(value, Identities):
        return base64.b64encode(value.to_bytes()).decode("ascii")
    return [_packed(each, chunks) for each in value] if isinstance(value, tuple) else value


def _unpacked(tree: Any, kind: Any, next_chunk: Callable[[], bytes]) -> Any:
    """Return the value of this type; the reverse of `_packed`."""
    origin = get_origin(kind) or kind
    if origin is PersistentList:
        (row_type,) = get_args(kind)
        number, dropped, tail = tree
        packed: tuple[Chunk[Any], ...] = tuple(Chunk(None, next_chunk(), row_type) for _ in range(number))
        return PersistentList(packed, tuple(map(row_type._make, tail)), dropped)
    if origin is PersistentMap:
        (value_type,) = get_args(kind)
        return PersistentMap.of({key: _unpacked(each, value_type, next_chunk) for key, each in tree.items()})
    if kind is Identities:
        return Identities(base64.b64decode(tree))
    if isinstance(kind, type) and issubclass(kind, tuple):
        types = _field_types(kind)
        return kind(*(_unpacked(each, of, next_chunk) for each, of in zip(tree, types, strict=True)))
    return tree


@cache
def _field_types(kind: type) -> tuple[Any, ...]:
    return tuple(get_type_hints(kind).values())

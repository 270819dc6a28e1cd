"""The decoder of this process: code, wire profile, upcasters and namespaces, as a fingerprint. Rows record it."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from evdash.events import decoding, wire_profile
from evdash.events.namespaces import NAMESPACES
from evdash.events.upcasters import UPCASTERS
from evdash.events.wire_profile import WireProfile


def fingerprint() -> str:
    """Return 32 hexadecimal digits. Decoders with equal fingerprints make equal events of equal entries."""
    own = f"{UPCASTERS.own_version}{sorted(NAMESPACES.items()) or ''}"
    return _fingerprint(decoding.DECODER_VERSION, wire_profile.DEFAULT_PROFILE, own)


@lru_cache(maxsize=16)
def _fingerprint(version: int, profile: WireProfile, own_version: str) -> str:
    parts = repr((version, profile, own_version))
    return hashlib.blake2b(parts.encode("utf-8", errors="backslashreplace"), digest_size=16).hexdigest()

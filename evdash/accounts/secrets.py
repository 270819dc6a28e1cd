"""Secrets that are shown once. Only their hashes are stored."""

import hashlib
from secrets import token_urlsafe

LENGTH_BYTES = 32


def new_secret(prefix: str = "") -> str:
    """Return 256 random bits as text that is safe in a URL. The prefix lets a scanner recognize a leaked secret."""
    return f"{prefix}{token_urlsafe(LENGTH_BYTES)}"


def secret_hash(secret: str) -> str:
    """Return the SHA-256 in hex. A fast hash is right here: 256 bits cannot be guessed, unlike a password."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

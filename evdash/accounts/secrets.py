"""Secrets that are shown once: only their hashes are kept."""

import hashlib
from secrets import token_urlsafe

LENGTH_BYTES = 32


def new_secret(prefix: str = "") -> str:
    """256 random bits as text that is safe in an address. The prefix lets a scanner recognise what leaked."""
    return f"{prefix}{token_urlsafe(LENGTH_BYTES)}"


def secret_hash(secret: str) -> str:
    """SHA-256 in hex. Quick is right here: nobody guesses 256 bits, unlike a password."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

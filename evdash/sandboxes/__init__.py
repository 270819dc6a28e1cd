"""Sandboxes read like the watched streams, and apart from them: from their own stream, with no event log."""

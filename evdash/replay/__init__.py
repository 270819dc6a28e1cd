"""Replay of sessions into sandbox streams, and the reader of sandboxes."""

"""Exports of a session: HTML, Markdown, NDJSON."""

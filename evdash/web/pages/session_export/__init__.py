"""Sessions as files: HTML, Markdown, NDJSON."""

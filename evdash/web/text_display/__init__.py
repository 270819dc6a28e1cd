"""Display of texts: Markdown, highlighted code, terminal output, and plain text, as safe HTML without inline styles."""

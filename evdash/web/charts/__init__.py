"""Server-drawn charts (SVG)."""

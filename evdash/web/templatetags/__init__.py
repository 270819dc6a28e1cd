"""Template tags and filters of the pages and exported files."""

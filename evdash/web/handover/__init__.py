"""A session to hand over: as a transcript in Markdown, or as one HTML file that needs no server."""

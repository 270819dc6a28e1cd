"""The web interface: pages, event display, lists, charts and links."""

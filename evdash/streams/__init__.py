"""Redis and its streams. Entries and plain records come out of here; no raw reply and no redis exception does."""

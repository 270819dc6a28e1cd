"""Lists of events: query, filter bar, rows, pages."""

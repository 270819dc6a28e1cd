"""Lists of sessions and of users: filter bar, facets, columns, order and export."""

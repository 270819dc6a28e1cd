"""Display of one event: one-line summary, row, conversation turn, fields."""

"""How one event is shown: summary, row, conversation turn, fields."""

"""Workers and projections: read entries, apply them in a transaction, acknowledge, claim, dead-letter."""

"""The page of one session: its picture, its list in three readings, its state at any event, and ways through it."""

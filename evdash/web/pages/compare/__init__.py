"""The page that compares two sessions."""

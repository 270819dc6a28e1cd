"""The pages of streams, consumer groups, dead letters and sandboxes, and their operations."""

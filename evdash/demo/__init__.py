"""Simulated agents, for a stream that has no real ones yet."""

"""Projections: each derives tables from the entries of its consumer group."""

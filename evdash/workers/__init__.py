"""The loop that carries entries from a consumer group into a projection."""

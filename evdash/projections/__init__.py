"""What a consumer group does with events: one module a group."""

"""evdash: a dashboard for auditing and debugging AI agents whose events live in Redis Streams."""

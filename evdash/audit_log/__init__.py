"""The audit log: what people did in evdash."""

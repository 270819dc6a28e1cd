"""The audit log: the actions of people in evdash."""

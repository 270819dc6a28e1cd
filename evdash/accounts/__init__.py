"""Sign-in: one-time links, throttled passwords, API tokens."""

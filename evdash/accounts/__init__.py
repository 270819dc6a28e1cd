"""Sign-in: one-time links, throttled passwords, API tokens; and who may operate."""

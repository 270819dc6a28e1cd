"""Sign-in by one-time links, throttled passwords and API tokens, and the roles of viewers and operators."""

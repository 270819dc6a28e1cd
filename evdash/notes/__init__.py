"""Notes that people write on sessions and events: who, when, what, and what stood there before."""

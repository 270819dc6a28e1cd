"""Notes that people write on sessions and events, with author, time, text and earlier texts."""

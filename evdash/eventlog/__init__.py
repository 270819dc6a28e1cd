"""SQL storage: the event log, its read models, and the reader that joins log and stream."""

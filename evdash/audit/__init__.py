"""What makes the log evidence: who did what to the streams and groups, when and why."""

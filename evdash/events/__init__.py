"""The event language: entry IDs, entries, events, wire profiles and filters. It imports neither Django nor Redis."""

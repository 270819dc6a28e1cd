"""The language: entry IDs, entries, events, wire profiles and filters. Knows neither Django nor Redis."""

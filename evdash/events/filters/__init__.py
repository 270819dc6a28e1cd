"""The filter language: keys, parser, predicate, URL query string, description."""

"""Redis and its streams.

This package returns entries and plain records. It passes on neither raw replies nor exceptions of redis-py.
"""

"""Live push of new events to open pages.

    stream ──▶ stream tailer ──▶ hub ──▶ filter group, per filter ──▶ subscription, per page ──▶ socket

One stream tailer per process reads the streams. The hub matches each event once per distinct filter and view mode. A
filter group collects the matching events into frames, about four a second at most, each rendered once. A subscription
is one page's cursor and credit: it sends events after the cursor, as far as the credit allows. Hub, filter group and
subscription do not depend on sockets, Redis or a clock.
"""

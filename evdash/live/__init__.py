"""New events pushed to open pages.

    stream ──▶ feed ──▶ hub ──▶ topic, one for each filter ──▶ subscription, one for each page ──▶ socket

One feed in a process tails the streams. The hub matches an event once for each distinct filter; a topic gathers what
matched into frames, some four a second at most, rendered once; a subscription is one page's cursor and credit, and
lets through what lies beyond the one and fits into the other. Hub, topic and subscription know no sockets, no Redis
and no clock.
"""

"""The demonstration: simulated agents that write believable events to an empty embedded stream, marked as such."""

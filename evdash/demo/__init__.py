"""The demonstration: simulated agents that write plausible, marked events to an empty embedded stream."""

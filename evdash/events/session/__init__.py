"""Session state after any of the session's events, and the difference between two states.

    state = NOT_STARTED
    for event in events:  # in the order of their positions
        state = fold(state, event)

A state is a value. States share common parts, so one state per event of a long session is cheap.
"""

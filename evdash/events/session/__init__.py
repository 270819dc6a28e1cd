"""The state of a session after any of its events, and what changed between two of them.

    state = NOT_STARTED
    for event in events:  # in the order of their positions
        state = fold(state, event)

A state is a value. States share what they have in common, so that one for each event of a long session is cheap.
"""

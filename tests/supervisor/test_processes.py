"""Processes that are started again."""

from evdash.supervisor.processes import FIRST_PAUSE_S, LONGEST_PAUSE_S, STABLE_AFTER_S, RestartPause


def test_the_pause_doubles_up_to_a_bound_and_begins_again_after_a_long_run() -> None:
    pause = RestartPause()
    assert [pause.after(ran_s=0.1) for _ in range(7)] == [1, 2, 4, 8, 16, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert pause.after(ran_s=STABLE_AFTER_S) == FIRST_PAUSE_S
    assert pause.after(ran_s=0.1) == 2 * FIRST_PAUSE_S

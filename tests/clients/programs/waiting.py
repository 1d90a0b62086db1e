"""Waiting for what a program is to see."""

import time

PAUSE_SECONDS = 0.1


def wait_until(what, look, seconds=180):
    """The first answer of `look` that says something; one that does not come is a failure that says which."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, "{} did not happen in {} s".format(what, seconds)
        time.sleep(PAUSE_SECONDS)

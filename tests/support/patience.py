"""How strictly tests hold the feed to times that it promises."""

import os

PATIENCE = 5.0


def within(promised_s: float) -> float:
    """Return for how long a test waits for what is promised within *promised_s* seconds.

    No longer while `make reliability` takes figures, with the machine to itself. In every other run
    a machine that is busy with other tests is given some times as long: what never comes is found
    all the same.
    """
    return promised_s if "FEED_RELIABILITY_LOG" in os.environ else PATIENCE * promised_s

"""What is kept of changes of state."""

from arbees_feed.app.timeline import Timeline
from arbees_feed.ops.overview import Change


def test_only_changes_are_kept_with_the_reason_and_time_of_each() -> None:
    timeline = Timeline()
    timeline.note("kalshi", "live", "", 10)
    timeline.note("kalshi", "live", "1 of 2 connections down", 20)
    timeline.note("redis", "connected", "", 30)
    timeline.note("kalshi", "stale", "refused", 40)
    assert timeline.changes() == [
        Change("kalshi", "stale", "refused", 40),
        Change("redis", "connected", "", 30),
        Change("kalshi", "live", "", 10),
    ]
    assert [timeline.since_ns(who) for who in ("kalshi", "redis", "nobody")] == [40, 30, 0]


def test_a_state_that_flaps_pushes_old_changes_out_and_forgets_no_beginning() -> None:
    timeline = Timeline(kept=3)
    timeline.note("redis", "connected", "", 1)
    for turn in range(5):
        timeline.note("kalshi", "live" if turn % 2 else "stale", "", 10 + turn)
    assert [change.at_ns for change in timeline.changes()] == [14, 13, 12]
    assert timeline.since_ns("redis") == 1

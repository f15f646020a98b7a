"""Two daemons on the same venues and the same Redis: each says so, loudly."""

import pytest
from support.feed import Reader, reading, running, settings_for

from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(60)


def reasons(reader: Reader, session: int) -> set[str]:
    """Return what a daemon has said of Kalshi, and forget it."""
    told = {
        m["reason"] for m in reader.states if m["session"] == session and m["venue"] == "kalshi"
    }
    reader.states.clear()
    return told


async def test_two_daemons_hear_of_each_other_until_one_stops(
    sim: SimServer, redis_url: str
) -> None:
    settings = settings_for(sim, redis_url)
    async with reading(redis_url) as reader, running(settings) as (first, _):
        await reader.until(lambda: reader.state("kalshi") == "live")
        assert not any("another_daemon" in reason for reason in reasons(reader, first._session))
        async with running(settings) as (second, _):
            for ours, other in ((first, second), (second, first)):
                await reader.until(
                    lambda ours=ours, other=other: any(  # type: ignore[misc]
                        f"degraded: another_daemon: session {other._session}" in message["reason"]
                        for message in reader.states
                        if message["session"] == ours._session
                    )
                )
            assert first.venues[0].state()[0] == "live", "prices are still prices"
        reader.states.clear()
        await reader.until(
            lambda: any(
                m["reason"] == "" and m["state"] == "live" and m["session"] == first._session
                for m in reader.states
            )
        )

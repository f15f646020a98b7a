"""Faults of REST."""

import json

from aiohttp import web

from arbees_feed.sim.config import Venue
from arbees_feed.sim.faults import RestFault, retry_after
from arbees_feed.sim.switches import ENDLESS, Ending, Switches, venues_meant

HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>"


class RestSwitches(Switches):
    """What is late, refused, lost or out of date."""

    def delay_rest(
        self, venue: Venue, seconds: float, *, prefix: str = "/", count: int = ENDLESS
    ) -> None:
        """Hold back the answers to requests whose path begins with *prefix*."""
        self._state.rest.append(RestFault("delay_rest", venue, prefix, count, delay_s=seconds))

    def fail_rest(
        self,
        venue: Venue,
        status: int = 500,
        *,
        prefix: str = "/",
        count: int = ENDLESS,
        retry_after_s: float | None = None,
        as_date: bool = False,
    ) -> None:
        """Answer with an error and the venue's error body."""
        now_ms = self._shared.clock_ms()
        headers = retry_after(retry_after_s, as_date=as_date, now_ms=now_ms)
        message = "too many requests" if status == web.HTTPTooManyRequests.status_code else "error"
        fault = RestFault(
            "fail_rest",
            venue,
            prefix,
            count,
            status=status,
            headers=headers,
            body=json.dumps({"error": message}),
        )
        self._state.rest.append(fault)

    def html_rest(
        self, venue: Venue, status: int = 502, *, prefix: str = "/", count: int = ENDLESS
    ) -> None:
        """Answer with a page of HTML, as a CDN does."""
        fault = RestFault(
            "html_rest", venue, prefix, count, status=status, body=HTML, content_type="text/html"
        )
        self._state.rest.append(fault)

    def lose_answers(self, venue: Venue, *, prefix: str = "/", count: int = 1) -> None:
        """Carry requests out, and cut their connections before they are answered."""
        self._state.rest.append(RestFault("lose_answers", venue, prefix, count, lost=True))

    def stale_rest(self, venue: Venue, seconds: float, *, unsigned_only: bool = False) -> None:
        """Answer with books as of so long ago, as a cache does.

        The past begins with this call: until *seconds* have passed, answers are as of now. With
        *unsigned_only*, signed requests (Kalshi) see the present.
        """
        self._count("stale_rests")
        past = self._shared.past[venue]
        past.fall_behind(seconds, self._shared.world.markets(venue), unsigned_only=unsigned_only)

    def ghost_rest(self, venue: Venue) -> None:
        """Answer with 0.01 to 0.99, an hour old, whatever the book."""
        self._count("ghost_rests")
        self._shared.past[venue].is_ghostly = True

    def _rest_endings(self) -> dict[str, Ending]:
        return {
            **{
                name: self._mending(name)
                for name in ("delay_rest", "fail_rest", "html_rest", "lose_answers")
            },
            "stale_rest": self._catch_up,
            "ghost_rest": self._lay_ghosts,
        }

    def _mending(self, name: str) -> Ending:
        def mend(venue: Venue | None, _: str | None) -> None:
            meant = tuple(venues_meant(venue))
            rest = self._state.rest
            rest[:] = [f for f in rest if f.name != name or f.venue not in meant]

        return mend

    def _catch_up(self, venue: Venue | None, _: str | None) -> None:
        for name in venues_meant(venue):
            self._shared.past[name].catch_up()

    def _lay_ghosts(self, venue: Venue | None, _: str | None) -> None:
        for name in venues_meant(venue):
            self._shared.past[name].is_ghostly = False

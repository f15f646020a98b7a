"""What an explanation comes to, in sentences. Pure."""

from collections.abc import Iterator
from typing import Final

from arbees_feed.app.explanation import Connection, Explanation, Liveliness

SLOW_S: Final = 2.0
CLOCK_S: Final = 5.0

_SOURCES: Final = {
    "book": "the top of our own full book",
    "ticker": "the top of book that the venue's ticker tells",
    "rest": "the top of book that REST told, as the stream has not spoken of it since it began",
}


def because(page: Explanation) -> list[str]:
    """Return why the price is what it is, what matters most first."""
    return [
        *_price(page),
        *_trouble(page),
        *(_silence(page.liveliness) if page.state == "quiet" and page.liveliness else ()),
        *_checks(page),
        *(_connection(page.connection) if page.connection else ()),
        *_surroundings(page),
    ]


def _price(page: Explanation) -> Iterator[str]:
    shown = page.shown
    if page.phase == "closed":
        yield "The market has ended: there is no price any more."
    elif page.phase == "paused":
        yield "The venue has paused trading: readers are told no price until it goes on."
    elif shown is None:
        yield "Readers have not been shown a price yet."
    elif shown.status == "live":
        yield f"Readers have a live price: {_SOURCES.get(shown.source, shown.source)}."
        if page.book is None:
            yield "Its full book is not followed."
    else:
        yield f"Readers were told `{shown.status}`, without a quote: do not act on it."


def _trouble(page: Explanation) -> Iterator[str]:
    """Say what keeps newer prices back."""
    if page.phase != "open":
        return
    book, shown = page.book, page.shown
    if page.doubt:
        yield f"Nothing newer is shown, because of a doubt: {page.doubt}."
        if shown is not None and shown.status == "live":
            yield "What readers have was good when it was shown; they are told if this lasts."
    if book is not None and book.state == "empty":
        yield "The full book has not come yet; it was asked for."
    elif book is not None and book.state == "lost" and book.reason != page.doubt:
        yield f"Our book is out of step ({book.reason}); a fresh snapshot was asked for."
    if book is None and page.ticker is None:
        yield "Nothing feeds this market at the moment."


def _silence(live: Liveliness) -> Iterator[str]:
    yield (
        f"It has not moved for {live.silent_s:.0f} s (usual: {live.usual_s:.1f} s), and nothing "
        "speaks against its being quiet."
    )


def _checks(page: Explanation) -> Iterator[str]:
    live = page.liveliness
    if live is None or page.book is None:
        return
    if live.suspicion:
        yield f"It is suspected: {live.suspicion}."
    if live.checksum_wrong_s is not None:
        yield f"The venue's checksum has not come out for {live.checksum_wrong_s:.1f} s."
    if live.proved_s is not None and page.book.state == "live":
        yield (
            "The venue's own word (snapshot, answer or checksum) last agreed with our book "
            f"{live.proved_s:.1f} s ago."
        )


def _connection(link: Connection) -> Iterator[str]:
    if link.suspicion:
        yield f"Its connection {link.name} is suspected: {link.suspicion}."
    if link.age_growth_s > SLOW_S:
        yield f"Frames queue up on the way: they are {link.age_growth_s:.1f} s older than at best."


def _surroundings(page: Explanation) -> Iterator[str]:
    shown, clock = page.shown, page.clock
    if shown is not None and shown.waiting:
        yield "The newest price waits for Redis: readers have an older one."
    if page.connection is None and page.phase == "open":
        yield "No open connection carries it."
    if page.venue_state != "live":
        reason = f": {page.venue_reason}" if page.venue_reason else ""
        yield f"The venue as a whole is {page.venue_state}{reason}."
    if clock is not None and abs(clock.offset_s) - clock.uncertainty_s > CLOCK_S:
        yield f"The venue's clock is {clock.offset_s:+.1f} s off ours: ages are as wrong."

"""`arbees-feed explain MARKET`: why its price is what it is, asked of a running daemon."""

import sys
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from urllib.parse import quote, urlsplit

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arbees_feed.app.explanation import Book, Connection, Explanation, Level, Liveliness, Shown
from arbees_feed.cli.options import ConfigFile, Overrides, quiet_log, settings_from
from arbees_feed.cli.output import put
from arbees_feed.cli.table import status_text
from arbees_feed.cli.text import amount, dollars, quoted
from arbees_feed.config import HttpSettings
from arbees_feed.core.text import clean, escaped, is_name
from arbees_feed.errors import FatalError, SettingsError

WIDTH = 80
TIMEOUT_S = 5.0
_LARGEST_BYTES = 1 << 20
_LABEL = 12
_CHARS = 1_000
_OK = 200
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked, not listened on

Row = tuple[str, str]
"""(label or "", what is to be said)"""


class _Refusal(msgspec.Struct, frozen=True):
    error: str


def explain(
    market: str = typer.Argument(
        metavar="MARKET", help="A Kalshi ticker or a Polymarket YES token id."
    ),
    config: ConfigFile = None,
    override: Overrides = None,
    url: str | None = typer.Option(
        None, "--url", metavar="URL", help="Where the daemon's HTTP endpoint is."
    ),
    json: bool = typer.Option(False, "--json", help="One JSON object."),
) -> None:
    """Say why a market's price is what it is.

    A running daemon is asked, at http.host and http.port unless --url names another place: what
    readers were shown, where it comes from, what is in doubt, and when the venue last agreed.

    \b
    Examples:
      arbees-feed explain KXNFLGAME-26DEC09KCDET-KC
      arbees-feed explain KXNFLGAME-26DEC09KCDET-KC --url http://10.0.0.5:9464
      arbees-feed explain KXNFLGAME-26DEC09KCDET-KC --json | jq '.state, .because'
    """
    settings = settings_from(config, override, venue_needed=False)
    quiet_log()
    if not is_name(market):
        raise FatalError(f"{escaped(market, 80)} is no market id: `arbees-feed markets` lists them")
    page = _asked(url or _address_of(settings.http), market)
    if json:
        put(msgspec.json.encode(page).decode())
    elif sys.stdout.isatty():
        _draw(page)
    else:
        for line in plain_lines(page):
            put(line)


# -- asking ----------------------------------------------------------------------------------------


def _address_of(http: HttpSettings) -> str:
    if not http.enabled:
        raise SettingsError("http.enabled is false: name the daemon's address with --url")
    if not http.port:
        raise SettingsError("http.port is 0: name the daemon's address with --url")
    host = _EVERYWHERE.get(http.host, http.host)
    return f"http://[{host}]:{http.port}" if ":" in host else f"http://{host}:{http.port}"


def _asked(url: str, market: str) -> Explanation:
    """Return what the daemon says.

    Raises:
        SettingsError: *url* is none.
        FatalError: nobody answers there, no daemon does, or it does not know the market.
    """
    try:
        status, body = _get(url, f"/explain/{quote(market, safe='')}")
    except (OSError, HTTPException) as exc:
        reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
        raise FatalError(f"no daemon answers at {url}: {clean(reason, _CHARS)}") from exc
    try:
        if status == _OK:
            return msgspec.json.decode(body, type=Explanation)
        raise FatalError(clean(msgspec.json.decode(body, type=_Refusal).error, _CHARS))
    except (msgspec.DecodeError, RecursionError) as exc:
        raise FatalError(
            f"what answers at {url} does not explain prices (HTTP {status}): is it a daemon of "
            "this version, asked by its own address?"
        ) from exc


def _get(url: str, path: str) -> tuple[int, bytes]:
    """Ask as `ops.probe` does: without a proxy, and for no more than an answer can have."""
    host, port, before = _parts_of(url)
    connection = HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        target = before + path
        connection.request("GET", target, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read(_LARGEST_BYTES)
    finally:
        connection.close()


def _parts_of(url: str) -> tuple[str, int | None, str]:
    wrong = SettingsError(f"--url {clean(url, _CHARS)}: must be http://HOST:PORT")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme != "http" or not host:
        raise wrong
    return host, port, parts.path.rstrip("/")


# -- telling ---------------------------------------------------------------------------------------


def plain_lines(page: Explanation) -> Iterator[str]:
    """Yield the page in lines of 80 columns at most."""
    yield _fit(page.market)
    yield f"{_fit(page.venue)}, {_fit(page.state)}, at {_clock_time(page.at_ns)}"
    yield ""
    for sentence in map(_fit, page.because):
        yield from textwrap.wrap(sentence, WIDTH, initial_indent="- ", subsequent_indent="  ")
    yield ""
    for label, text in rows_of(page):
        # Columns of levels are kept as they are.
        lines = [text] if not label else textwrap.wrap(text, WIDTH - _LABEL)
        for number, line in enumerate(lines):
            yield f"{label if not number else '':<{_LABEL}}{line}".rstrip()


def _draw(page: Explanation) -> None:
    console = Console()
    title = Text.assemble((_fit(page.market), "bold"), f"\n{_fit(page.venue)}, ")
    title.append_text(status_text(_fit(page.state))).append(f", at {_clock_time(page.at_ns)}\n")
    console.print(title)
    for sentence in map(_fit, page.because):
        console.print(Text(f"- {sentence}"))
    table = Table.grid(padding=(0, 2, 0, 0))
    for label, text in rows_of(page):
        table.add_row(Text(label, style="cyan"), Text(text))
    console.print()
    console.print(table)


def rows_of(page: Explanation) -> list[Row]:
    """Return the facts, each with its label; those without one go on with the fact before."""
    rows: list[Row] = []
    if page.shown is not None:
        rows += _shown_rows(page.shown)
    if page.doubt:
        rows.append(("doubt", page.doubt))
    if page.book is not None:
        rows += _book_rows(page.book)
    if page.ticker is not None:
        ticker = page.ticker
        told = _sides(ticker.bid, ticker.bid_size, ticker.ask, ticker.ask_size)
        rows.append(("ticker", f"{told}, from {ticker.source} over {ticker.connection or '-'}"))
    if page.liveliness is not None:
        rows += _liveliness_rows(page.liveliness)
    rows.append(("venue time", _event_time(page)))
    if page.connection is not None:
        rows += _connection_rows(page.connection)
    rows += _last_rows(page)
    return [(label, _fit(text)) for label, text in rows]


def _shown_rows(shown: Shown) -> Iterator[Row]:
    seq = "" if shown.seq is None else f", seq {shown.seq}"
    waiting = ", waits for Redis" if shown.waiting else ""
    yield "shown", f"{shown.status}, from {shown.source}{seq}, {_ago(shown.ago_s)}{waiting}"
    last = "" if shown.last_price is None else f", last {dollars(shown.last_price).strip()}"
    yield "", f"{_sides(shown.bid, shown.bid_size, shown.ask, shown.ask_size)}{last}"


def _book_rows(book: Book) -> Iterator[Row]:
    reason = f" ({book.reason})" if book.reason else ""
    agrees = "" if book.agrees else ", its best prices are not what the venue says"
    levels = f"{book.bid_levels} bids, {book.ask_levels} asks"
    yield "book", f"{book.state}{reason}, {book.changes:,} changes, {levels}{agrees}"
    depth = max(len(book.bids), len(book.asks))
    if depth:
        yield "", f"{'SIZE':>10} {'BID':<6}  {'ASK':<6} {'SIZE':>10}"
    for number in range(depth):
        bid, bid_size = _cells(book.bids, number)
        ask, ask_size = _cells(book.asks, number)
        yield "", f"{bid_size:>10} {bid:<6}  {ask:<6} {ask_size:>10}"


def _cells(levels: Sequence[Level], number: int) -> tuple[str, str]:
    if number >= len(levels):
        return "", ""
    price, size = levels[number]
    return dollars(price), amount(size)


def _liveliness_rows(live: Liveliness) -> Iterator[Row]:
    yield "moves", f"last {_ago(live.silent_s)}, usually every {_span(live.usual_s)}"
    asked = "" if live.asked_s is None else f", asked {_ago(live.asked_s)}"
    proved = "never" if live.proved_s is None else _ago(live.proved_s)
    yield "agreed", f"{proved}, with the venue's own word{asked}; checksum: {live.checksum}"
    if live.suspicion:
        yield "suspicion", live.suspicion
    if live.last_mismatch:
        yield "mismatch", live.last_mismatch


def _connection_rows(link: Connection) -> Iterator[Row]:
    since = "about to take over" if link.open_s is None else f"open for {_span(link.open_s)}"
    data = f"data {_ago(link.silent_s)}, {link.frames:,} frames"
    yield "connection", f"{link.name}, {link.liveness}, {since}, {data}"
    yield "", link.url
    if link.suspicion:
        yield "", f"suspected: {link.suspicion}"
    if link.message_age_s is not None:
        grown = f"{_span(link.age_growth_s)} more than at best"
        yield "message age", f"{_span(link.message_age_s)}, {grown}"


def _last_rows(page: Explanation) -> Iterator[Row]:
    if page.clock is not None:
        offset = f"{page.clock.offset_s:+.2f} s, give or take {page.clock.uncertainty_s:.2f} s"
        yield "clock", f"the venue's less ours: {offset}"
    reason = f": {page.venue_reason}" if page.venue_reason else ""
    yield "venue", f"{page.venue_state}{reason}"
    wanted = ", ".join(page.wanted_by) or "nobody; its ticker comes with those of all markets"
    yield "wanted by", wanted
    for happened in page.history:
        detail = f": {happened.detail}" if happened.detail else ""
        yield "lately", f"{_ago(happened.ago_s)} {happened.what}{detail}"


def _sides(bid: float, bid_size: float, ask: float, ask_size: float) -> str:
    """Return both sides; a dash is one that nobody is on."""
    shown = (("bid", bid, bid_size), ("ask", ask, ask_size))
    return ", ".join(
        f"{name} {quoted(price, size).strip()} x {amount(size) or '0'}"
        for name, price, size in shown
    )


def _event_time(page: Explanation) -> str:
    if page.event_ts_ns is None or page.event_age_s is None:
        return "the venue told none"
    return f"{_clock_time(page.event_ts_ns)}, {_ago(page.event_age_s)} by our clock"


def _clock_time(unix_ns: int) -> str:
    try:
        moment = datetime.fromtimestamp(unix_ns / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return "-"
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def _fit(text: str) -> str:
    """Return a text that is fit for a terminal: anybody may answer at that address."""
    return clean(text, _CHARS)


def _ago(seconds: float) -> str:
    return f"{_span(seconds)} ago"


def _span(seconds: float) -> str:
    """Return a duration with two or three digits that matter."""
    if abs(seconds) < 10:  # noqa: PLR2004
        return f"{seconds:.2f} s"
    for limit, divisor, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if abs(seconds) < limit:
            return f"{seconds / divisor:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"

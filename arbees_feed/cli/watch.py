"""`arbees-feed watch`: follow prices, as a table for people or as lines for scripts."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import typer
from rich.console import RenderableType
from rich.text import Text

from arbees_feed.cli.board import GONE, Board
from arbees_feed.cli.options import (
    ConfigFile,
    Overrides,
    quiet_log,
    run_until_stopped,
    settings_from,
)
from arbees_feed.cli.output import Lines, say
from arbees_feed.cli.prices import Beat, Prices, reachable
from arbees_feed.cli.screen import show
from arbees_feed.cli.table import note, screen
from arbees_feed.cli.text import amount, dollars, quoted, shortened
from arbees_feed.cli.waiting import stopped_within
from arbees_feed.config import Settings
from arbees_feed.core.backoff import Backoff
from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.supervisor import Policy, keep_running

_POLICY = Policy(backoff=Backoff(first_s=0.2, cap_s=2.0), healthy_after_s=5.0, fatal_retry_s=2.0)
_ID_WIDTH = 40
_LOOK_S = 0.5
_NOT_THERE = (GONE, "stopped")

Form = Callable[[MarketPrice], str]


def watch(
    ids: list[str] | None = typer.Argument(
        None, metavar="ID", help="Kalshi tickers or Polymarket YES token ids; none: all."
    ),
    config: ConfigFile = None,
    override: Overrides = None,
    plain: bool = typer.Option(
        False, "--plain", help="One line a message; the default without a terminal."
    ),
    json: bool = typer.Option(False, "--json", help="One JSON object a line."),
    count: int | None = typer.Option(
        None, min=1, help="Stop after so many messages (with --plain or --json)."
    ),
) -> None:
    """Follow prices, as a live table or as lines.

    The table has the busiest markets, or those named.
    A price whose feed is gone is shown as stale, without a quote; in lines it comes once more, so.
    What is said of feeds and of Redis goes to stderr.

    \b
    Examples:
      arbees-feed watch
      arbees-feed watch KXNFLGAME-26DEC09KCDET-KC
      arbees-feed watch --json | jq -c 'select(.status == "live") | [.market_id, .yes_bid]'
      arbees-feed watch --plain --count 100 --set redis.url=redis://10.0.0.5:6379/0
    """
    settings = settings_from(config, override, venue_needed=False)
    quiet_log()
    markets = tuple(dict.fromkeys(ids or ()))
    if json or plain or count is not None or not sys.stdout.isatty():
        form = _json_line if json else _plain_line
        run_until_stopped(lambda stop: _print(settings, markets, form, count, stop))
    else:
        run_until_stopped(lambda stop: _show(settings, markets, stop))


# -- lines -----------------------------------------------------------------------------------------


class Printer:
    """Prints prices as they come, and says when a feed goes or comes back."""

    def __init__(self, board: Board, lines: Lines, form: Form) -> None:
        self._board = board
        self._lines = lines
        self._form = form
        self._said: dict[str, str] = {}

    def on_price(self, price: MarketPrice, now_ns: int, *, joined: bool) -> None:
        """Print a price as it may be believed now."""
        self._board.on_price(price, now_ns, joined=joined)
        self._lines.write(self._form(self._board.believed(price)))

    def on_beat(self, beat: Beat) -> None:
        """Take the state of a venue."""
        self._board.on_beat(beat)

    def on_venue(self, venue: str, fields: Mapping[str, str]) -> None:
        """Take the counters of a venue."""
        self._board.on_venue(venue, fields)

    def on_titles(self, found: Mapping[str, Mapping[str, str]]) -> None:
        """Take nothing: lines carry ids."""

    def untitled(self) -> Sequence[str]:
        """Want no titles."""
        return ()

    async def tell_changes(self, stop: asyncio.Event) -> None:
        """Say it when a venue's state changes, until *stop*; at the start only what is wrong."""
        while not await stopped_within(stop, _LOOK_S):
            for venue, (word, reason) in self._board.conditions().items():
                before = self._said.get(venue)
                self._said[venue] = word
                if word != (before or "live"):
                    say(f"{venue} is {word}{f': {reason}' if reason else ''}{_advice(word)}")
                if before not in (None, *_NOT_THERE) and word in _NOT_THERE:
                    self._print_stale(venue)

    def _print_stale(self, venue: str) -> None:
        """Print what has become of prices that were live, now that their feed is gone."""
        for row in self._board.rows.values():
            if row.price.platform == venue and row.price.status == "live":
                self._lines.write(self._form(self._board.believed(row.price)))


def _advice(word: str) -> str:
    return "; its prices are stale" if word in _NOT_THERE else ""


async def _print(
    settings: Settings,
    markets: Sequence[str],
    form: Form,
    count: int | None,
    stop: asyncio.Event,
) -> None:
    lines = Lines(stop, count)
    async with reachable(settings.redis) as client:
        printer = Printer(Board(markets), lines, form)
        prices = Prices(client, Names(settings.redis.key_prefix), printer, markets)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(_follow(prices, say))
            group.create_task(printer.tell_changes(stop))
            await stop.wait()
            following.cancel()
    lines.finish()


async def _follow(prices: Prices, tell: Callable[[str], None]) -> None:
    told = False

    def on_failure(_service: str, error: Exception, _delay_s: float) -> None:
        nonlocal told
        if prices.joined.is_set() or not told:
            told = True
            tell(f"redis: {error}; trying again")
        prices.joined.clear()

    await keep_running(prices, policy=_POLICY, on_failure=on_failure)


def _plain_line(price: MarketPrice) -> str:
    time = datetime.fromtimestamp(price.ts_pub_ns / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]
    status = price.status if price.status == "live" else price.status.upper()
    bid = f"{quoted(price.yes_bid, price.yes_bid_size)} x {amount(price.yes_bid_size):<7}"
    ask = f"{quoted(price.yes_ask, price.yes_ask_size)} x {amount(price.yes_ask_size):<7}"
    return (
        f"{time} {status:<6} {price.platform:<10} bid {bid} ask {ask} "
        f"last {dollars(price.last_price)} {price.market_id}"
    )


def _json_line(price: MarketPrice) -> str:
    fields = msgspec.structs.asdict(price)
    fields |= {
        "no_bid": price.no_bid,
        "no_ask": price.no_ask,
        "no_bid_size": price.no_bid_size,
        "no_ask_size": price.no_ask_size,
    }
    return msgspec.json.encode(fields).decode()


# -- the table -------------------------------------------------------------------------------------


class _View:
    """The table of what is followed, and what is wrong with following it."""

    def __init__(self, board: Board, prices: Prices, source: str) -> None:
        self._board = board
        self._prices = prices
        self._source = source
        self._trouble = ""

    def tell(self, text: str) -> None:
        """Show *text* until prices come again."""
        self._trouble = text

    def draw(self, width: int, height: int) -> RenderableType:
        """Draw the screen."""
        title = Text("arbees-feed watch", style="bold")
        title.append(f"  {self._source}, Ctrl-C ends", style="bright_black")
        notes = [note(text, "bold red") for text in self._notes()]
        return screen(self._board, title, notes, width, height)

    def _notes(self) -> list[str]:
        notes = []
        if self._trouble and not self._prices.joined.is_set():
            notes.append(self._trouble)
        if not self._board.venues:
            notes.append("no feed writes to this Redis: start one with `arbees-feed run`")
        if missing := self._board.missing():
            named = ", ".join(shortened(market, _ID_WIDTH) for market in missing[:3])
            notes.append(
                f"no price yet of {named}{' …' if len(missing) > len(missing[:3]) else ''}"
            )
        if self._prices.lost:
            notes.append(f"{self._prices.lost:,} prices did not reach this reader")
        return notes


async def _show(settings: Settings, markets: Sequence[str], stop: asyncio.Event) -> None:
    async with reachable(settings.redis) as client:
        board = Board(markets)
        prices = Prices(client, Names(settings.redis.key_prefix), board, markets)
        view = _View(board, prices, str(settings.redis.url))
        async with asyncio.TaskGroup() as group:
            following = group.create_task(_follow(prices, view.tell))
            await show(stop, board, view.draw)
            following.cancel()

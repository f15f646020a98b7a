"""`arbees-feed watch`: follow prices, as a table for people or as lines for scripts."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import msgspec
import typer
from rich.console import Console, RenderableType
from rich.text import Text

from arbees_feed.cli.board import Board
from arbees_feed.cli.following import Following
from arbees_feed.cli.options import (
    ConfigFile,
    Overrides,
    quiet_log,
    run_until_stopped,
    settings_from,
)
from arbees_feed.cli.output import say
from arbees_feed.cli.prices import Intake, entered, reachable, reader_of
from arbees_feed.cli.screen import show
from arbees_feed.cli.table import note, screen
from arbees_feed.cli.text import amount, dollars, quoted, shortened
from arbees_feed.cli.waiting import until
from arbees_feed.cli.watchnews import News
from arbees_feed.cli.watchoutput import Output
from arbees_feed.config import Settings
from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader import PriceReader

_ID_WIDTH = 40

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
    What is said of feeds, of Redis and of prices that were missed goes to stderr.

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
    reader = reader_of(settings.redis, markets or None, every=True)
    console = Console()
    lines = json or plain or count is not None
    if lines or not console.is_terminal or console.is_dumb_terminal:
        form = _json_line if json else _plain_line
        run_until_stopped(lambda stop: until(stop, _print(settings, reader, form, count)))
    else:
        board = Board(markets)
        run_until_stopped(lambda stop: _show(settings, reader, board, stop))


# -- lines -----------------------------------------------------------------------------------------


async def _print(settings: Settings, reader: PriceReader, form: Form, count: int | None) -> None:
    """Print prices as they come, until *count* were printed.

    Raises:
        ReaderGone: nobody reads them.
    """
    async with reachable(settings.redis):
        output = Output(sys.stdout)
    news = News(reader, say)
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        telling = group.create_task(news.tell())
        stack.callback(telling.cancel)
        stack.callback(news.last_words)
        await stack.enter_async_context(entered(reader))
        await _print_all(reader, news, output, form, count)


async def _print_all(
    reader: PriceReader, news: News, output: Output, form: Form, count: int | None
) -> None:
    intake, printed = Intake(reader), 0
    while count is None or printed < count:
        prices, _ = await intake.next()
        if count is not None:
            prices = prices[: count - printed]
        printed += len(prices)
        news.note(prices)
        await output.write(form(price) for price in prices)


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

    def __init__(self, board: Board, reader: PriceReader, source: str) -> None:
        self._board = board
        self._reader = reader
        self._source = source

    def draw(self, width: int, height: int) -> RenderableType:
        """Draw the screen."""
        title = Text("arbees-feed watch", style="bold")
        title.append(f"  {self._source}, Ctrl-C ends", style="bright_black")
        notes = [note(text, "bold red") for text in self._notes()]
        return screen(self._board, title, notes, width, height)

    def _notes(self) -> list[str]:
        notes = []
        if trouble := self._reader.trouble:
            notes.append(f"redis: {trouble.removeprefix('redis: ')}; trying again")
        if not self._board.venues:
            notes.append("no feed writes to this Redis: start one with `arbees-feed run`")
        if missing := self._board.missing():
            named = ", ".join(shortened(market, _ID_WIDTH) for market in missing[:3])
            notes.append(
                f"no price yet of {named}{' …' if len(missing) > len(missing[:3]) else ''}"
            )
        if missed := self._reader.stats.missed:
            notes.append(f"{missed:,} prices did not reach this reader")
        return notes


async def _show(settings: Settings, reader: PriceReader, board: Board, stop: asyncio.Event) -> None:
    async with reachable(settings.redis):
        following = Following(settings.redis, reader, board)
    view = _View(board, reader, str(settings.redis.url))
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(following.run())
        await show(stop, board, view.draw)
        reading.cancel()

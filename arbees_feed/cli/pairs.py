"""`arbees-feed pairs`: which markets of two venues ask the same, why, and what both sides cost."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import typer
from redis.exceptions import ResponseError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arbees_feed.cli.options import (
    ConfigFile,
    Overrides,
    quiet_log,
    run_until_stopped,
    settings_from,
)
from arbees_feed.cli.output import put, say
from arbees_feed.cli.prices import AT_ONCE, answer, reachable, read_hashes
from arbees_feed.cli.text import NONE, PRICE_WIDTH, amount, shortened, title_of
from arbees_feed.cli.waiting import until
from arbees_feed.config import Settings
from arbees_feed.core.sharding import chunks
from arbees_feed.core.wire import Names
from arbees_feed.errors import SettingsError
from arbees_feed.pairs.price import PairPrice
from arbees_feed.pairs.store import PairStore
from arbees_feed.reader.source import is_wrong_type

GRADES = ("identical", "same_question", "probable")
_TITLE_WIDTH = 200
SEARCHED = ("title", "subtitle", "event_title", "outcome_yes")
"""What of a market's metadata tells what it asks."""
FIELDS_AT_ONCE = 50
"""Hashes of which a few fields are asked for in one go: Redis does nothing else meanwhile."""
_BESIDE_QUESTION = 58
"""Columns of a terminal that all the others take."""
_LEAST_QUESTION = 10
_PLAIN = {"", "yes", "no"}


class Shown(msgspec.Struct, frozen=True):
    """A pair as Redis has it, with the titles of both markets and its newest price."""

    pair_id: str
    fields: Mapping[str, str]
    kalshi: Mapping[str, str]
    polymarket: Mapping[str, str]
    price: PairPrice | None

    @property
    def question(self) -> str:
        """Return what Kalshi asks."""
        return question_of(self.fields.get("kalshi_id", ""), self.kalshi)

    @property
    def theirs(self) -> str:
        """Return what Polymarket asks."""
        return question_of(self.fields.get("polymarket_id", ""), self.polymarket)

    @property
    def live(self) -> bool:
        """Return whether both prices are live."""
        return self.price is not None and self.price.status == "live"


def question_of(market: str, meta: Mapping[str, str]) -> str:
    """Return a title with the outcome that YES is: markets of a game have the same title."""
    outcome = meta.get("outcome_yes", "")
    title = title_of(market, meta, _TITLE_WIDTH)
    return title if outcome.lower() in _PLAIN or title.endswith(outcome) else f"{outcome}: {title}"


def pairs(
    text: list[str] | None = typer.Argument(
        None, metavar="TEXT", help="Words that must all be in a title or an id."
    ),
    config: ConfigFile = None,
    override: Overrides = None,
    grade: str | None = typer.Option(None, metavar="GRADE", help=" or ".join(GRADES) + " only."),
    live: bool = typer.Option(False, "--live", help="Only pairs with both prices live."),
    explain: str | None = typer.Option(None, metavar="PAIR", help="Say why this one is a pair."),
    json: bool = typer.Option(False, "--json", help="One JSON object a line."),
) -> None:
    """List the pairs of markets that ask the same question on two venues.

    They are found by `arbees-feed match run`. Cost is that of buying both sides, in dollars a
    contract, fees included: below 1.00 both together cost less than they pay. Without a terminal:
    one pair a line, its fields with tabs between them (pair, grade, polarity, status, cost with YES
    at Kalshi, its size, cost with YES at Polymarket, its size, title).

    \b
    Examples:
      arbees-feed pairs
      arbees-feed pairs kansas city --live
      arbees-feed pairs --grade probable --json | jq -r .pair_id
      arbees-feed pairs --explain KXNFLGAME-26DEC09KCDET-KC.1f0a9c3e
    """
    if grade is not None and grade not in GRADES:
        raise SettingsError(f"--grade {grade}: must be one of {', '.join(GRADES)}")
    settings = settings_from(config, override, venue_needed=False)
    quiet_log()
    words = [word.lower() for part in text or () for word in part.split()]
    found = run_until_stopped(lambda stop: until(stop, read_pairs(settings, explain)))
    if found is None:
        return  # stopped
    if explain is not None:
        if not found:
            raise SettingsError(f"--explain {explain}: there is no such pair")
        _explain(found[0])
        return
    chosen = [
        pair
        for pair in found
        if grade in (None, pair.fields.get("grade"))
        and (pair.live or not live)
        and _matches(pair, words)
    ]
    _show(chosen, json=json)
    if not found:
        say("redis knows no pairs: does `arbees-feed match run` run?")
    elif not chosen:
        say(f"none of {len(found):,} pairs matches")


async def read_pairs(settings: Settings, only: str | None = None) -> list[Shown]:
    """Return all pairs, the surest first, or the one that is named."""
    names = Names(settings.redis.key_prefix)
    async with reachable(settings.redis) as source:
        client = source.client
        members = [only.encode()] if only else []
        if only is None:
            members = await answer(client.zrevrange(names.pairs(), 0, -1))
        store = PairStore(client, names, timeout_s=settings.redis.io_timeout_s)
        found: list[Shown] = []
        for some in chunks([member.decode(errors="replace") for member in members], AT_ONCE):
            hashes = await read_hashes(client, [names.pair(pair) for pair in some])
            kalshi = await _titles(client, names, hashes, "kalshi_id")
            polymarket = await _titles(client, names, hashes, "polymarket_id")
            prices = await answer(store.lasts(some))
            # What a process wrote that is gone is not to be believed.
            running = await answer(client.exists(names.pairs_state()))
            found += [
                Shown(pair, fields, here, there, prices.get(pair) if running else None)
                for pair, fields, here, there in zip(some, hashes, kalshi, polymarket, strict=True)
                if fields
            ]
        return found


async def _titles(
    client: Any, names: Names, hashes: Sequence[Mapping[str, str]], leg: str
) -> list[Mapping[str, str]]:
    markets = [fields.get(leg, "") for fields in hashes]
    return await read_fields(client, [names.meta(market) for market in markets], SEARCHED)


async def read_fields(
    client: Any, keys: Sequence[str], fields: Sequence[str]
) -> list[Mapping[str, str]]:
    """Return some fields of hashes, in the order of *keys*: those that are there.

    A key that holds something else has none.
    """
    found: list[Mapping[str, str]] = []
    for some in chunks(keys, FIELDS_AT_ONCE):
        async with client.pipeline(transaction=False) as pipeline:
            for key in some:
                pipeline.hmget(key, fields)
            answers = await answer(pipeline.execute(raise_on_error=False))
        found += [_told(fields, values) for values in answers]
    return found


def _told(fields: Sequence[str], values: Any) -> Mapping[str, str]:
    if isinstance(values, ResponseError) and is_wrong_type(values):
        return {}
    if isinstance(values, Exception):
        raise values
    told = zip(fields, values, strict=True)
    return {name: value.decode(errors="replace") for name, value in told if value}


def _matches(pair: Shown, words: Sequence[str]) -> bool:
    searched = [pair.pair_id, pair.fields.get("polymarket_id", "")]
    for meta in (pair.kalshi, pair.polymarket):
        searched += [meta.get(name, "") for name in SEARCHED]
    text = "\n".join(searched).lower()
    return all(word in text for word in words)


# -- what is printed -------------------------------------------------------------------------------


def _show(chosen: Sequence[Shown], *, json: bool) -> None:
    if json:
        for pair in chosen:
            put(msgspec.json.encode(_fields(pair)).decode())
    elif sys.stdout.isatty():
        _draw(chosen)
    else:
        for pair in chosen:
            put("\t".join([pair.pair_id, *_cells(pair, "{:.15g}".format), pair.question]))


def _fields(pair: Shown) -> dict[str, object]:
    price = None if pair.price is None else msgspec.structs.asdict(pair.price)
    return {
        "pair_id": pair.pair_id,
        **pair.fields,
        "kalshi_title": pair.question,
        "polymarket_title": pair.theirs,
        "price": price,
    }


def _cells(pair: Shown, size: Callable[[float], str]) -> list[str]:
    price = pair.price
    cells = [pair.fields.get("grade", ""), pair.fields.get("polarity", "")]
    if price is None or price.status != "live":
        return [*cells, "none" if price is None else price.status, "", "", "", ""]
    return [
        *cells,
        price.status,
        _dollars(price.yes_at_kalshi_net),
        size(price.yes_at_kalshi_size),
        _dollars(price.yes_at_polymarket_net),
        size(price.yes_at_polymarket_size),
    ]


def _dollars(cost: float | None) -> str:
    return "" if cost is None else f"{cost:.4f}"


def _draw(chosen: Sequence[Shown]) -> None:
    console = Console()
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for column, width in (("GRADE", 13), ("POLARITY", 8), ("STATUS", 6)):
        table.add_column(column, no_wrap=True, min_width=width)
    for column in ("YES K", "SIZE", "YES P", "SIZE"):
        table.add_column(column, justify="right", no_wrap=True, min_width=PRICE_WIDTH)
    table.add_column("QUESTION", no_wrap=True, overflow="ellipsis", ratio=1)
    room = max(_LEAST_QUESTION, console.width - _BESIDE_QUESTION)
    for pair in chosen:
        cells = [cell or NONE for cell in _cells(pair, amount)]
        # As text: brackets in a title are no markup.
        table.add_row(*cells, Text(shortened(pair.question, room)))
    if chosen:
        console.print(table)
        alive = sum(pair.live for pair in chosen)
        console.print(
            f"{len(chosen):,} pairs, {alive:,} with both prices live; "
            "ids: arbees-feed pairs | cut -f1",
            style="bright_black",
            highlight=False,
        )


def _explain(pair: Shown) -> None:
    fields = pair.fields
    put(f"{pair.pair_id}: {fields.get('grade', '')}, {fields.get('polarity', '')}")
    put(f"  by          {fields.get('by', '')}, since {fields.get('since', '')}")
    put(f"  confidence  {fields.get('confidence', '')}")
    put(f"  kalshi      {fields.get('kalshi_id', '')}: {pair.question}")
    put(f"  polymarket  {fields.get('polymarket_id', '')}: {pair.theirs}")
    for name in ("reasons", "conflicts"):
        for number, line in enumerate(filter(None, fields.get(name, "").split("; "))):
            put(f"  {name if not number else '':<10}  {line}")
    if pair.price is not None and pair.price.status != "live":
        put(f"  price       {pair.price.status}: {pair.price.reason}")
    elif pair.price is not None:
        for number, cost in enumerate(costs_of(pair.price)):
            put(f"  {'price' if not number else '':<10}  {cost}")


def costs_of(price: PairPrice) -> list[str]:
    """Return what buying both sides costs, either way, in words; of a live price."""
    ways = (
        ("YES at Kalshi, NO at Polymarket", price.yes_at_kalshi_cost, price.yes_at_kalshi_net),
        (
            "YES at Polymarket, NO at Kalshi",
            price.yes_at_polymarket_cost,
            price.yes_at_polymarket_net,
        ),
    )
    return [
        f"{way}: {cost:.4f}, with fees {_dollars(net) or 'unknown'}"
        for way, cost, net in ways
        if cost is not None
    ] or ["no side is on offer at both"]

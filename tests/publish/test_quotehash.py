"""The prepared command of a `:quote` hash against one that is packed word by word."""

from datetime import UTC, datetime

import hiredis
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.model import Quote, Source, Status
from arbees_feed.core.money import decimal_text
from arbees_feed.publish.quotehash import QuoteHash

PRICES = st.integers(0, 10_000)
SIZES = st.integers(0, 10**18)
TIMES = st.integers(0, 4 * 10**18)

QUOTES = st.builds(
    Quote,
    bid=PRICES,
    bid_size=SIZES,
    ask=PRICES,
    ask_size=SIZES,
    last_price=st.none() | PRICES,
    status=st.sampled_from(Status),
    source=st.sampled_from(Source),
    ts_event_ns=TIMES,
    ts_recv_ns=TIMES,
)


@given(st.text(min_size=1), QUOTES, st.lists(TIMES, min_size=1, max_size=4), SIZES)
def test_the_prepared_command_says_what_a_packed_one_says(
    market: str, quote: Quote, times: list[int], seq: int
) -> None:
    market = market.encode(errors="replace").decode()
    made = QuoteHash(session=17)
    for now_ns in times:
        told = made.command(
            f"p:market:{market}:quote".encode(), market.encode(), b"kalshi", quote, seq, now_ns
        )
        assert told == _packed(market, quote, seq, now_ns)


def _packed(market: str, quote: Quote, seq: int, now_ns: int) -> bytes:
    moment = datetime.fromtimestamp(now_ns // 10**9, UTC)
    fields = {
        "v": "1",
        "market_id": market,
        "platform": "kalshi",
        "yes_bid": decimal_text(quote.bid, 4),
        "yes_ask": decimal_text(quote.ask, 4),
        "yes_bid_size": decimal_text(quote.bid_size, 6),
        "yes_ask_size": decimal_text(quote.ask_size, 6),
        "last_price": "" if quote.last_price is None else decimal_text(quote.last_price, 4),
        "status": quote.status.value,
        "source": quote.source.value,
        "session": "17",
        "seq": str(seq),
        "ts_event_ns": str(quote.ts_event_ns),
        "ts_recv_ns": str(quote.ts_recv_ns),
        "ts_pub_ns": str(now_ns),
        "updated_at": f"{moment:%Y-%m-%dT%H:%M:%S}.{now_ns // 10**6 % 1000:03d}Z",
    }
    words = [word for field in fields.items() for word in field]
    packed: bytes = hiredis.pack_command(("HSET", f"p:market:{market}:quote", *words))
    return packed

"""What a hash holds, and when it differs."""

from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.enrich.diff import (
    DIGEST_BYTES,
    LONGEST,
    LONGEST_EXTRA,
    Written,
    digest,
    event_fields,
    market_fields,
)

META = MarketMeta(
    market_id=MarketId("A"),
    platform="kalshi",
    title="Will A?",
    extras={"slug": "a", "title": "an extra never hides a field", "none": ""},
    volume=1.0,
)


def test_absent_facts_are_absent_fields() -> None:
    assert market_fields(META) == {"platform": "kalshi", "title": "Will A?", "slug": "a"}


def test_an_event_has_the_number_of_its_markets() -> None:
    meta = EventMeta(event_id="E", platform="kalshi", market_ids=(MarketId("A"), MarketId("B")))
    assert event_fields(meta) == {"platform": "kalshi", "market_count": "2"}
    assert event_fields(EventMeta(event_id="E", platform="kalshi")) == {"platform": "kalshi"}


def test_hostile_texts_become_one_bounded_line_that_can_be_seen() -> None:
    meta = MarketMeta(
        market_id=MarketId("A"),
        platform="p",
        title="\x1b[31mWin\x1b[0m\r\nor\u202e lose",
        subtitle="\x00\x1b",
        event_title="t" * 5_000_000,
        extras={"rules_primary": "one\n\ntwo", "slug": "s" * 5_000_000},
    )
    fields = market_fields(meta)
    assert fields["title"] == "[31mWin[0m or lose"
    assert "subtitle" not in fields
    assert len(fields["event_title"]) == LONGEST
    assert fields["rules_primary"] == "one two"
    assert len(fields["slug"]) == LONGEST_EXTRA
    event = EventMeta(event_id="E", platform="p", title="a\tb\x9b", extras={"tags": "\x07,x"})
    assert event_fields(event) == {"platform": "p", "title": "a b", "tags": ",x"}


def test_volume_alone_changes_nothing() -> None:
    """It grows with every trade; each pass would write every market."""
    traded = MarketMeta(market_id=MarketId("A"), platform="p", volume=2.0)
    still = MarketMeta(market_id=MarketId("A"), platform="p", volume=1.0)
    assert digest(market_fields(traded)) == digest(market_fields(still))


@given(
    st.dictionaries(st.text(), st.text(), max_size=4),
    st.dictionaries(st.text(), st.text(), max_size=4),
)
def test_a_digest_stands_for_its_fields(one: dict[str, str], other: dict[str, str]) -> None:
    assert len(digest(one)) == DIGEST_BYTES
    if one != other:
        assert digest(one) != digest(other)


def test_what_was_written_is_remembered_within_bounds() -> None:
    written = Written(kept=2)
    for key in ("a", "b", "a", "c"):
        written.record(key, key.encode())
    assert ["a" in written, "b" in written, "c" in written, len(written)] == [True, False, True, 2]
    assert not written.differs("a", b"a")
    assert written.differs("a", b"x")
    assert written.differs("b", b"b")
    written.clear()
    assert len(written) == 0

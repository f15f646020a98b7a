"""Which pairs there are: found, changed, doubted and retired, and what a person decides."""

from support.questions import NEXT_DAY, OTHER_TICKER, TICKER, TOKEN, kalshi, polymarket

from arbees_feed.pairs.fees import KalshiFees, PolymarketFees
from arbees_feed.pairs.ledger import Ledger, pair_id_of
from arbees_feed.pairs.mapping import parse_mapping
from arbees_feed.pairs.rules import Rules

PAIR = pair_id_of((TICKER, TOKEN))
OTHER = pair_id_of((OTHER_TICKER, TOKEN))


def ledger(*lines: str, now: str = "2026-08-02T00:00:00Z") -> Ledger:
    mapping = parse_mapping(["action,kalshi,polymarket,polarity,note", *lines], "my.csv")
    assert not mapping.errors
    return Ledger(lambda: now, Rules(mapping))


def test_a_pair_is_found_when_its_second_market_comes() -> None:
    pairs = ledger()
    assert not pairs.put(kalshi()).put
    changes = pairs.put(polymarket())
    (pair,) = changes.put.values()
    record, terms = pair.record, pair.terms
    assert record.pair_id == PAIR
    assert (record.kalshi_id, record.polymarket_id) == (TICKER, TOKEN)
    assert (record.grade, record.polarity, record.by) == ("same_question", "same", "matcher")
    assert "day agrees: 2026-08-08" in record.reasons
    assert record.since == "2026-08-02T00:00:00Z"
    assert terms is not None
    assert (terms.kalshi_fees, terms.polymarket_fees) == (KalshiFees(), PolymarketFees(50_000))
    assert not terms.fees_told
    assert pairs.judged == 1


def test_both_markets_of_a_game_are_pairs_of_the_one_market_there() -> None:
    pairs = ledger()
    pairs.put(kalshi())
    pairs.put(kalshi(OTHER_TICKER, "Chicago"))
    changes = pairs.put(polymarket())
    assert {pair.record.polarity for pair in changes.put.values()} == {"same", "inverted"}
    assert changes.put[OTHER].record.polarity == "inverted"


def test_what_was_said_already_is_not_judged_again() -> None:
    pairs = ledger()
    pairs.put(kalshi())
    pairs.put(polymarket())
    assert not pairs.put(polymarket()).put
    assert pairs.judged == 1


def test_what_changes_nothing_of_a_pair_is_judged_and_not_told() -> None:
    pairs = ledger()
    pairs.put(kalshi())
    pairs.put(polymarket())
    changes = pairs.put(kalshi(close_time="2026-08-12T00:00:00Z"))
    assert pairs.judged == 2
    assert not changes.put
    assert not changes.retired


def test_a_game_of_another_day_is_no_pair() -> None:
    pairs = ledger()
    pairs.put(kalshi())
    assert not pairs.put(polymarket(NEXT_DAY, "2026-08-09")).put


def test_a_market_that_changes_its_day_loses_its_pair() -> None:
    pairs = ledger()
    pairs.put(kalshi())
    pairs.put(polymarket())
    changes = pairs.put(polymarket(TOKEN, "2026-08-09"))
    assert not changes.put
    ((record, reason),) = changes.retired.values()
    assert record.pair_id == PAIR
    assert reason == "what a venue says of it has changed"
    assert not pairs.pairs


def test_a_market_that_ends_or_goes_loses_its_pair_and_may_come_back() -> None:
    pairs = ledger()
    pairs.put(kalshi())
    pairs.put(polymarket())
    ended = pairs.put(kalshi(status="settled"))
    assert ended.retired[PAIR][1] == "kalshi: the market has ended"
    assert PAIR in pairs.put(kalshi()).put
    gone = pairs.drop(TOKEN, "not listed any more")
    assert gone.retired[PAIR][1] == "not listed any more"
    assert not pairs.drop(TOKEN, "again").retired
    assert pairs.markets == 1


def test_two_partners_make_both_doubtful_until_one_goes() -> None:
    pairs = ledger()
    pairs.put(kalshi())
    pairs.put(polymarket())
    changes = pairs.put(polymarket("3300"))
    assert len(changes.put) == 2
    for pair in changes.put.values():
        assert (pair.record.grade, pair.terms) == ("probable", None)
        assert pair.record.conflicts.endswith("ambiguous")
    back = pairs.drop("3300", "not listed any more")
    assert set(back.put) == {PAIR}
    assert back.put[PAIR].terms is not None


def test_fees_that_are_told_later_are_other_terms() -> None:
    pairs = ledger()
    pairs.put(kalshi(fee_type="quadratic", fee_multiplier="1"))
    (one_told,) = pairs.put(polymarket()).put.values()
    assert one_told.terms is not None
    assert not one_told.terms.fees_told
    changes = pairs.put(polymarket(fees_enabled="true", fee_rate="0.03"))
    terms = changes.put[PAIR].terms
    assert terms is not None
    assert terms.polymarket_fees == PolymarketFees(30_000)
    assert terms.fees_told


def test_a_pair_of_a_former_run_has_been_there_since_then() -> None:
    pairs = ledger(now="2026-08-03T00:00:00Z")
    fields = {"grade": "same_question", "polarity": "same", "since": "2026-08-01T12:00:00Z"}
    pairs.remember({PAIR: fields})
    pairs.put(kalshi())
    assert pairs.put(polymarket()).put[PAIR].record.since == "2026-08-01T12:00:00Z"
    pairs.put(polymarket(status="closed"))
    assert pairs.put(polymarket()).put[PAIR].record.since == "2026-08-03T00:00:00Z"


def test_a_pair_that_a_former_run_took_for_another_is_a_new_one() -> None:
    for other in ({"grade": "probable"}, {"polarity": "inverted"}, {"since": ""}):
        pairs = ledger(now="2026-08-03T00:00:00Z")
        before = {"grade": "same_question", "polarity": "same", "since": "2026-08-01T12:00:00Z"}
        pairs.remember({PAIR: {**before, **other}})
        pairs.put(kalshi())
        assert pairs.put(polymarket()).put[PAIR].record.since == "2026-08-03T00:00:00Z"


# -- what a person has decided ---------------------------------------------------------------------


def test_what_is_forbidden_is_no_pair() -> None:
    for line in (
        f"forbid,{TICKER},{TOKEN}",
        f"forbid,{TICKER},",
        "forbid,,wnba-ind-chi-2026-08-08",
    ):
        pairs = ledger(line)
        pairs.put(kalshi())
        assert not pairs.put(polymarket()).put, line


def test_a_pair_that_is_added_needs_no_likeness() -> None:
    pairs = ledger(f"add,{TICKER},0x{NEXT_DAY},inverted")
    pairs.put(kalshi())
    changes = pairs.put(polymarket(NEXT_DAY, "2026-08-09"))
    (pair,) = changes.put.values()
    assert (pair.record.by, pair.record.polarity) == ("user", "inverted")
    assert (pair.record.grade, pair.record.confidence) == ("same_question", 1.0)
    assert pair.terms is not None


def test_the_order_in_which_markets_come_does_not_matter() -> None:
    pairs = ledger(f"add,{TICKER},0x{NEXT_DAY},inverted")
    pairs.put(polymarket(NEXT_DAY, "2026-08-09"))
    assert len(pairs.put(kalshi()).put) == 1


def test_a_confirmed_pair_takes_its_polarity_from_the_matcher_or_the_line() -> None:
    for line, polarity, conflicts in (
        (f"confirm,{TICKER},{TOKEN},", "same", ""),
        (f"confirm,{TICKER},{TOKEN},inverted", "inverted", "the matcher says same"),
    ):
        pairs = ledger(line)
        pairs.put(kalshi())
        record = pairs.put(polymarket()).put[PAIR].record
        assert (record.by, record.polarity) == ("user", polarity)
        assert record.conflicts.endswith(conflicts)


def test_a_confirmed_pair_of_which_nobody_knows_the_polarity_is_none() -> None:
    pairs = ledger(f"confirm,{TICKER},{NEXT_DAY},")
    pairs.put(kalshi())
    assert not pairs.put(polymarket(NEXT_DAY, "2026-08-09")).put


def test_a_line_decides_where_the_matcher_finds_two() -> None:
    pairs = ledger(f"confirm,{TICKER},{TOKEN},same", f"forbid,{TICKER},3300,")
    pairs.put(kalshi())
    pairs.put(polymarket())
    pairs.put(polymarket("3300"))
    assert set(pairs.pairs) == {PAIR}
    assert pairs.pairs[PAIR].terms is not None


def test_markets_of_the_file_that_are_not_there_are_named_by_line() -> None:
    pairs = ledger("add,KX-NONE,some-slug,same", f"forbid,{TICKER},", "forbid,,0xabc")
    pairs.put(kalshi())
    assert list(pairs.unknown()) == [(2, "KX-NONE"), (2, "some-slug"), (4, "0xabc")]


def test_two_kalshi_markets_of_an_event_that_ask_the_same_are_doubtful() -> None:
    pairs = ledger()
    pairs.put(kalshi())
    pairs.put(polymarket())
    twin = "KXWNBAGAME-26AUG08INDCHI-IND2"
    changes = pairs.put(kalshi(twin))
    assert {pair.record.grade for pair in changes.put.values()} == {"probable"}
    assert set(changes.put) == {PAIR, pair_id_of((twin, TOKEN))}
    assert set(pairs.drop(twin, "gone").put) == {PAIR}

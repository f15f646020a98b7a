"""The pure parts of the game shard: fees, model, signals, episodes, and the files it reads."""

import asyncio
import csv
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from game_shard.board import NS, GameUpdate, Scoreboard
from game_shard.episodes import Episodes
from game_shard.fees import Fees, kalshi_taker_fee, polymarket_taker_fee, taker_fee
from game_shard.mapping import (
    Game,
    GameMarket,
    checked_pairs,
    load_games,
    load_pairs,
    markets_of_game,
    outcome_of,
)
from game_shard.model import GameState, home_win_probability, yes_probability
from game_shard.outputs import COLUMNS, CsvFile, Stream, row_of
from game_shard.scores import SimulatedGame, is_news, simulated_stream
from game_shard.shard import GameShard
from game_shard.signals import (
    Limits,
    Opportunity,
    Pair,
    Rules,
    Verdict,
    check_model,
    check_pair,
    refusal,
)
from redis.exceptions import RedisError

from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader import SettingsError

NOW_NS = 1_795_219_200_000_000_000
EVEN = GameState(home=10, away=10, remaining=0.0001)
"""As good as even: 0.5007 for the home team."""
HALF = GameState(home=7, away=0, remaining=0.5)
OVER = GameState(home=7, away=0, remaining=0.0)
FEES = Fees(kalshi_rate=Decimal("0.07"), polymarket_rate=Decimal("0.05"))


def dollars(text: str) -> Decimal:
    return Decimal(text)


def price(
    market: str = "KX-HOME",
    platform: str = "kalshi",
    *,
    bid: float = 0.30,
    ask: float = 0.80,
    sizes: tuple[float, float] = (100.0, 100.0),
    status: str = "live",
    age_s: float = 0.5,
) -> MarketPrice:
    return MarketPrice(
        market_id=market,
        platform=platform,
        yes_bid=bid,
        yes_ask=ask,
        yes_bid_size=sizes[0],
        yes_ask_size=sizes[1],
        last_price=None,
        status=status,
        source="book",
        session=1,
        seq=1,
        ts_event_ns=0,
        ts_recv_ns=NOW_NS - round(age_s * 1e9),
        ts_pub_ns=NOW_NS,
    )


# -- fees ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contracts", "at", "fee"),
    [
        ("1", "0.50", "0.02"),  # 0.0175, and the account is kept in cents
        ("10", "0.50", "0.18"),  # 0.175
        ("100", "0.50", "1.75"),
        ("100", "0.25", "1.32"),  # 1.3125
        ("100", "0.05", "0.34"),  # 0.3325
        ("100", "0.95", "0.34"),
        ("3", "0.055", "0.015"),  # 0.0110 after 0.01091; 0.165 + 0.0110 leaves 0.18
    ],
)
def test_kalshi_rounds_up_to_the_cent_that_leaves_the_account(
    contracts: str, at: str, fee: str
) -> None:
    """0.07 x C x P x (1 - P): the worked figures of the fee schedule."""
    assert kalshi_taker_fee(dollars(contracts), dollars(at), FEES.kalshi_rate) == dollars(fee)


@pytest.mark.parametrize(
    ("shares", "at", "rate", "fee"),
    [
        ("100", "0.50", "0.07", "1.75"),
        ("100", "0.30", "0.05", "1.05"),
        ("100", "0.50", "0.03", "0.75"),
        ("1", "0.01", "0.03", "0.00030"),  # 0.000297
        ("7", "0.123", "0.05", "0.03775"),  # 0.03775485
        ("100", "0.50", "0", "0"),
    ],
)
def test_polymarket_rounds_to_five_decimals(shares: str, at: str, rate: str, fee: str) -> None:
    assert polymarket_taker_fee(dollars(shares), dollars(at), dollars(rate)) == dollars(fee)


def test_an_unknown_platform_has_no_fees_that_we_could_count() -> None:
    with pytest.raises(ValueError, match="no fees are known for 'elsewhere'"):
        taker_fee("elsewhere", Decimal(1), dollars("0.5"), FEES)


# -- model and scores ------------------------------------------------------------------------------


def test_a_lead_counts_for_more_as_time_runs_out() -> None:
    early = home_win_probability(GameState(7, 0, 1.0))
    late = home_win_probability(GameState(7, 0, 0.1))
    assert 0.5 < early < late < 1.0
    # (7 + 2.5) / 13.9 = 0.6835 standard deviations
    assert early == pytest.approx(0.7528, abs=1e-4)


def test_both_sides_of_a_game_share_one_certainty() -> None:
    assert yes_probability(HALF, "home") + yes_probability(HALF, "away") == 1
    assert home_win_probability(GameState(3, 7, 0.0)) == 0.0
    assert home_win_probability(GameState(7, 7, 0.0)) == 0.5


def test_an_invented_game_is_the_same_for_all_who_know_its_seed() -> None:
    one, other = (SimulatedGame(5, start_s=1_000.0, length_s=60.0) for _ in range(2))
    moments = [990.0 + step / 2 for step in range(160)]
    assert [one.state_at(at) for at in moments] == [other.state_at(at) for at in moments]
    assert one.state_at(990.0) == GameState(0, 0, 1.0)
    assert one.state_at(1_060.0).over
    totals = [one.state_at(at).home + one.state_at(at).away for at in moments]
    assert totals == sorted(totals)
    assert len(set(totals)) == 1 + len(one.times)
    just_before, then = (one.state_at(1_000.0 + 60 * one.times[0] + d) for d in (-1e-3, 1e-3))
    assert (just_before.home, just_before.away) == (0, 0)
    assert max(then.home, then.away) in (3, 7)


def told(game: str, home: int, remaining: float = 0.5) -> GameUpdate:
    return GameUpdate(game, GameState(home, 0, remaining))


def test_a_score_is_believed_while_the_stream_speaks() -> None:
    board = Scoreboard(["A", "B"], max_age_s=5.0)
    assert board.state_at("A", NOW_NS) is None
    assert board.take(told("A", 7), NOW_NS)
    assert board.state_at("A", NOW_NS + 5 * NS) == GameState(7, 0, 0.5)
    assert board.state_at("A", NOW_NS + 5 * NS + 1) is None
    assert board.state_at("B", NOW_NS) is None
    assert not board.take(told("A", 7), NOW_NS + 9 * NS), "the same again is no news"
    assert board.state_at("A", NOW_NS + 14 * NS) == GameState(7, 0, 0.5)


def test_a_game_that_is_over_stays_over() -> None:
    board = Scoreboard(["A", "B"], max_age_s=5.0)
    assert board.take(told("A", 7, 0.0), NOW_NS)
    assert not board.take(told("A", 7, 0.5), NOW_NS + NS)
    assert board.state_at("A", NOW_NS + 3_600 * NS) == GameState(7, 0, 0.0)
    assert not board.all_over
    assert board.take(told("B", 0, 0.0), NOW_NS)
    assert board.all_over


def test_a_game_that_is_not_ours_is_left() -> None:
    board = Scoreboard(["A"], max_age_s=5.0)
    assert not board.take(told("elsewhere", 7), NOW_NS)
    assert not board.all_over


def test_a_score_is_told_at_once_and_the_clock_each_second() -> None:
    early, later = GameState(7, 0, 0.50), GameState(7, 0, 0.49)
    assert not is_news(later, 100.0, early, now_s=100.9)
    assert is_news(later, 100.0, early, now_s=101.0)
    assert is_news(GameState(7, 3, 0.49), 100.0, early, now_s=100.1)
    assert is_news(GameState(7, 0, 0.0), 100.0, early, now_s=100.1)


async def test_the_simulated_stream_tells_of_every_game() -> None:
    over = SimulatedGame(1, start_s=0.0, length_s=1.0)
    to_come = SimulatedGame(2, start_s=4e9, length_s=1.0)
    async with aclosing(simulated_stream({"A": over, "B": to_come})) as stream:
        first, second = await anext(stream), await anext(stream)
    assert (first.game_id, first.state.over) == ("A", True)
    assert second == GameUpdate("B", GameState(0, 0, 1.0))


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "state", "reason"),
    [
        (None, HALF, "not live"),
        (price(status="stale"), HALF, "not live"),
        (price(status="closed"), HALF, "not live"),
        (price(age_s=10.1), HALF, "too old"),
        (price(age_s=-0.6), HALF, "time of receipt ahead of our clock"),
        (price(bid=0.0, ask=1.0, sizes=(0.0, 0.0)), HALF, "empty"),
        (price(), OVER, "game over"),
        (price(), None, "no score"),
        (price(status="stale"), None, "no score"),
        (price(age_s=9.9), HALF, ""),
    ],
)
def test_what_cannot_be_trusted_is_refused(
    what: MarketPrice | None, state: GameState | None, reason: str
) -> None:
    assert refusal(what, state, NOW_NS, Limits(max_age_s=10.0)) == reason


def test_a_refused_price_makes_no_opportunity_however_good_it_looks() -> None:
    for bad in (price(ask=0.01, status="stale"), price(ask=0.01, age_s=60.0)):
        verdicts = check_model("G", bad, "home", HALF, NOW_NS, Rules())
        assert len(verdicts) == 2
        assert all(verdict.refused and verdict.opportunity is None for verdict in verdicts)


def test_without_a_score_nothing_is_judged() -> None:
    good = price(ask=0.01)
    verdicts = check_model("G", good, "home", None, NOW_NS, Rules())
    legs = (good, price("777", "polymarket", ask=0.01))
    verdicts += check_pair("G", Pair("KX-HOME", "777", "inverted"), legs, None, NOW_NS, Rules())
    assert [verdict.refused for verdict in verdicts] == ["no score"] * 4
    assert not found(verdicts)


# -- signals ---------------------------------------------------------------------------------------


def found(verdicts: list[Verdict]) -> list[Opportunity]:
    return [verdict.opportunity for verdict in verdicts if verdict.opportunity is not None]


def test_yes_is_bought_below_what_the_model_says() -> None:
    """Worth 0.5007; 40 at 0.45 cost 18.00 and 0.07 x 40 x 0.45 x 0.55 = 0.693, so 0.70."""
    quote = price(ask=0.45, sizes=(100.0, 40.7))
    (only,) = found(check_model("G", quote, "home", EVEN, NOW_NS, Rules(fees=FEES)))
    worth = yes_probability(EVEN, "home")
    assert (only.kind, only.contracts, only.fees) == ("model", 40, (dollars("0.70"),))
    assert only.edge == worth - dollars("0.45") - dollars("0.0175")
    assert only.profit == 40 * only.edge
    (leg,) = only.legs
    assert (leg.side, leg.price, leg.available) == ("yes", dollars("0.45"), dollars("40.7"))
    assert leg.age_s == pytest.approx(0.5)


def test_no_is_bought_where_yes_is_bid_too_high() -> None:
    quote = price(bid=0.60, ask=0.80, sizes=(500.0, 5.0))
    (only,) = found(check_model("G", quote, "away", EVEN, NOW_NS, Rules(fees=FEES)))
    assert [(leg.side, leg.price) for leg in only.legs] == [("no", dollars("0.40"))]
    assert only.contracts == 100  # max_contracts
    assert only.edge == yes_probability(EVEN, "home") - dollars("0.40") - dollars("0.0168")


def test_an_edge_that_fees_eat_is_none() -> None:
    """0.5007 - 0.475 = 0.0257, less 0.0175 of fees leaves 0.0082: under the cent that is asked."""
    quote = price(ask=0.475)
    assert found(check_model("G", quote, "home", EVEN, NOW_NS, Rules(fees=FEES))) == []
    bold = Rules(Limits(min_edge=dollars("0.008")), FEES)
    assert len(found(check_model("G", quote, "home", EVEN, NOW_NS, bold))) == 1


def test_an_empty_side_and_crumbs_are_refused_by_themselves() -> None:
    """Five is the smallest order that Polymarket takes."""
    quote = price(bid=0.0, ask=0.20, sizes=(0.0, 4.9))
    yes, no = check_model("G", quote, "home", EVEN, NOW_NS, Rules())
    assert (yes.refused, no.refused) == ("too small", "empty")


def test_both_sides_of_a_pair_for_less_than_a_dollar() -> None:
    """YES at Kalshi for 0.41, NO at Polymarket for 1 - 0.50, 60 of each.

    Kalshi: 0.07 x 60 x 0.41 x 0.59 = 1.01598, up to 1.016; 24.60 + 1.016 leaves 25.62: 1.02.
    Polymarket: 60 x 0.05 x 0.50 x 0.50 = 0.75.
    """
    pair = Pair("KX-AWAY", "777", "same")
    legs = (
        price("KX-AWAY", ask=0.41, sizes=(10.0, 60.0), age_s=1.0),
        price("777", "polymarket", bid=0.50, sizes=(80.0, 10.0), age_s=2.0),
    )
    (only,) = found(check_pair("G", pair, legs, EVEN, NOW_NS, Rules(fees=FEES)))
    assert (only.kind, only.contracts, only.worth) == ("cross", 60, 1)
    assert only.fees == (dollars("1.02"), dollars("0.75"))
    assert only.edge == 1 - dollars("0.91") - dollars("0.017") - dollars("0.0125")
    assert [(leg.market_id, leg.side, leg.price) for leg in only.legs] == [
        ("KX-AWAY", "yes", dollars("0.41")),
        ("777", "no", dollars("0.50")),
    ]
    assert [leg.age_s for leg in only.legs] == pytest.approx([1.0, 2.0])


def test_an_inverted_pair_buys_the_same_side_twice() -> None:
    pair = Pair("KX-HOME", "777", "inverted")
    legs = (price("KX-HOME", ask=0.40), price("777", "polymarket", ask=0.50))
    (only,) = found(check_pair("G", pair, legs, EVEN, NOW_NS, Rules(fees=FEES)))
    assert [leg.side for leg in only.legs] == ["yes", "yes"]
    # The same prices on a pair of polarity `same` are two bets on the same team.
    same = Pair("KX-HOME", "777", "same")
    assert found(check_pair("G", same, legs, EVEN, NOW_NS, Rules(fees=FEES))) == []


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (None, "not live"),
        (price("777", "polymarket", bid=0.5, status="stale"), "not live"),
        (price("777", "polymarket", bid=0.5, age_s=11.0), "too old"),
    ],
)
def test_a_pair_needs_two_good_legs(other: MarketPrice | None, reason: str) -> None:
    pair = Pair("KX-AWAY", "777", "same")
    verdicts = check_pair("G", pair, (price(ask=0.41), other), EVEN, NOW_NS, Rules())
    assert [verdict.refused for verdict in verdicts] == [reason, reason]


# -- episodes --------------------------------------------------------------------------------------


def of_yes(quote: MarketPrice, state: GameState = HALF) -> Verdict:
    return check_model("G", quote, "home", state, NOW_NS, Rules())[0]


def test_an_opportunity_is_told_once_however_many_messages_repeat_it() -> None:
    episodes = Episodes()
    told = [episodes.news_in(of_yes(price(ask=0.50, age_s=1.0 - seq / 5))) for seq in range(5)]
    smaller = episodes.news_in(of_yes(price(ask=0.50, sizes=(100.0, 7.0))))
    better = episodes.news_in(of_yes(price(ask=0.49)))
    assert (told, smaller, better) == (["found", "", "", "", ""], "", "")


def test_it_is_told_again_after_it_was_gone() -> None:
    episodes = Episodes()
    good, none = of_yes(price(ask=0.50)), of_yes(price(ask=0.80))
    told = [episodes.news_in(verdict) for verdict in (good, none, none, good)]
    assert told == ["found", "gone", "", "found"]


def test_doubt_suspends_it_and_does_not_make_it_new() -> None:
    episodes = Episodes()
    good, doubt = of_yes(price(ask=0.50)), of_yes(price(status="stale"))
    told = [episodes.news_in(verdict) for verdict in (good, doubt, doubt, good, doubt)]
    assert told == ["found", "refused", "", "", "refused"]
    assert episodes.news_in(of_yes(price(ask=0.48))) == "found", "other prices came out of the dark"


@pytest.mark.parametrize("sizes", [(100.0, 4.0), (100.0, 0.0)])
def test_an_offer_that_is_too_small_or_none_ends_it(sizes: tuple[float, float]) -> None:
    episodes = Episodes()
    good, small = of_yes(price(ask=0.50)), of_yes(price(ask=0.50, sizes=sizes))
    assert small.refused
    told = [episodes.news_in(verdict) for verdict in (small, good, small, small, good)]
    assert told == ["refused", "found", "gone", "", "found"]


def test_a_score_in_the_dark_makes_it_another_one() -> None:
    episodes = Episodes()
    old = price(ask=0.50, age_s=11.0)
    verdicts = (
        of_yes(price(ask=0.50)),
        of_yes(old),
        of_yes(price(ask=0.50), GameState(14, 0, 0.5)),
    )
    assert [episodes.news_in(verdict) for verdict in verdicts] == ["found", "refused", "found"]


# -- the shard -------------------------------------------------------------------------------------


class Kept:
    """Takes what is found, where the CSV file and the stream would."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []

    def write(self, row: dict[str, str]) -> None:
        self.rows.append(row)

    put = write


async def test_scores_that_fall_silent_stop_all_action_until_they_come_again() -> None:
    now_ns = NOW_NS
    score = told("G", 0)
    heard, more = asyncio.Event(), asyncio.Event()

    async def scores() -> AsyncIterator[GameUpdate]:
        yield score
        heard.set()
        await more.wait()
        yield score
        yield told("G", 0, 0.0)

    file, stream = Kept(), Kept()
    shard = GameShard(
        scores(),
        {"G": [GameMarket("KX-HOME", "kalshi", "home")]},
        [],
        Rules(Limits(max_age_s=60.0, max_score_age_s=5.0)),
        (cast("CsvFile", file), cast("Stream", stream)),
        clock_ns=lambda: now_ns,
    )

    def judge(ask: float) -> int:
        """Return how many rows there are once this price has come."""
        shard.check_signals("G", price(ask=ask))
        assert file.rows == stream.rows
        return len(file.rows)

    assert judge(0.20) == 0, "nothing is known of the game yet"
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(shard._follow_scores(stop))
        await heard.wait()
        assert judge(0.20) == 1
        now_ns += 6 * NS  # the price is good for a minute
        assert judge(0.10) == 1, "another price, but who knows how the game stands"
        more.set()
        await stop.wait()
    assert shard._counts["refused: no score"] == 4
    assert judge(0.10) == 1, "the game is over"
    assert shard._counts["refused: game over"] == 2


# -- files -----------------------------------------------------------------------------------------

GAMES = """
[limits]
min_edge = 0.02
max_age_s = 5
[fees]
polymarket_rate = "0.03"
[[games]]
id = "SEA-DAL"
home = "Dallas"
away = "Seattle"
markets = [{ id = "KX-DAL", platform = "kalshi", pays_on = "home" }]
"""


def test_games_are_read_with_limits_and_fees(tmp_path: Path) -> None:
    path = tmp_path / "games.toml"
    path.write_text(GAMES)
    file = load_games(path)
    assert file.limits == Limits(min_edge=dollars("0.02"), max_age_s=5.0)
    assert file.fees.polymarket_rate == dollars("0.03")
    (game,) = file.games
    assert game.markets == (GameMarket("KX-DAL", "kalshi", "home"),)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"home" }', '"draw" }', "Invalid enum value 'draw'"),
        ("max_age_s", "max_age", "unknown field `max_age`"),
        ('home = "Dallas"\n', "", "missing required field `home`"),
        ("markets = [", "# markets = [", "game 'SEA-DAL' has neither markets nor events"),
        ('id = "SEA-DAL"', 'id = "SEA-DAL"\nlength_s = 0', "length_s is not above 0"),
        ("[limits]", "[limits", "games.toml: "),
    ],
)
def test_a_wrong_games_file_says_what_is_wrong(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "games.toml"
    path.write_text(GAMES.replace(old, new))
    with pytest.raises(SettingsError, match=re.escape(said)) as caught:
        load_games(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_game_or_market_that_is_there_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "games.toml"
    game = GAMES.partition("[[games]]")[2]
    path.write_text(f"[[games]]{game}\n[[games]]{game}")
    with pytest.raises(SettingsError, match="game 'SEA-DAL' is there twice"):
        load_games(path)
    path.write_text(f"[[games]]{game}\n[[games]]{game.replace('SEA-DAL', 'OTHER')}")
    with pytest.raises(SettingsError, match="market 'KX-DAL' is there twice"):
        load_games(path)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("kalshi,polymarket\nKX,7\n", "the columns are to be kalshi,polymarket,polarity"),
        ("kalshi,polymarket,polarity\nKX,7,same\nKX,8,maybe\n", "line 3: Invalid enum value"),
        ("kalshi,polymarket,polarity\nKX,7\n", "line 2: "),
        ("kalshi,polymarket,polarity\nKX,7,same,8\n", "line 2: "),
    ],
)
def test_a_wrong_line_of_pairs_is_named(tmp_path: Path, lines: str, said: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(lines)
    with pytest.raises(SettingsError, match=re.escape(said)):
        load_pairs(path)


def test_pairs_are_checked_against_the_games() -> None:
    markets = {
        "ONE": [GameMarket("KX-A", "kalshi", "away"), GameMarket("7", "polymarket", "away")],
        "TWO": [GameMarket("KX-B", "kalshi", "home")],
    }
    good = Pair("KX-A", "7", "same")
    assert checked_pairs([good], markets) == [good]
    for pair, said in (
        (Pair("KX-A", "7", "inverted"), "not inverted"),
        (Pair("KX-B", "7", "inverted"), "one is of game 'TWO', the other of 'ONE'"),
        (Pair("KX-A", "8", "same"), "no game has 8 as a market of polymarket"),
        (Pair("7", "KX-A", "same"), "no game has 7 as a market of kalshi"),
    ):
        with pytest.raises(SettingsError, match=said):
            checked_pairs([pair], markets)


def test_the_name_of_an_outcome_tells_the_team() -> None:
    game = Game(id="G", home="Dallas", away="Seattle")
    assert [outcome_of(game, name) for name in ("dallas ", "Seattle", "Over 44.5")] == [
        "home",
        "away",
        None,
    ]


class Facts:
    """Metadata as the feed writes it: markets first, then their event."""

    def __init__(self) -> None:
        self.members: list[str] = []
        self.hashes: dict[str, dict[str, str]] = {}

    async def smembers(self, name: str) -> list[str]:
        assert name == "my:event:E:markets"
        return self.members

    async def hget(self, name: str, field: str) -> str | None:
        return self.hashes.get(name, {}).get(field)

    async def hexists(self, name: str, field: str) -> bool:
        return field in self.hashes.get(name, {})


async def test_markets_of_an_event_are_taken_once_all_of_them_are_there() -> None:
    game = Game(id="G", home="Dallas", away="Seattle", events={"kalshi": ["E"]})
    facts = Facts()
    for name, pays_on in (("KX-DAL", "Dallas"), ("KX-SEA", "Seattle"), ("KX-44", "Over 44.5")):
        assert await markets_of_game(facts, game, "my:") == []
        facts.members.append(name)
        facts.hashes[f"my:market:{name}:meta"] = {"outcome_yes": pays_on}
    assert await markets_of_game(facts, game, "my:") == []
    facts.hashes["my:event:E:meta"] = {"platform": "kalshi"}
    assert await markets_of_game(facts, game, "my:") == [
        GameMarket("KX-DAL", "kalshi", "home"),
        GameMarket("KX-SEA", "kalshi", "away"),
    ]


# -- the CSV file ----------------------------------------------------------------------------------


def opportunity() -> Opportunity:
    (only,) = found([of_yes(price(ask=0.50))])
    return only


def test_rows_are_in_the_file_at_once_and_a_second_start_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "found.csv"
    for _ in range(2):
        with CsvFile(path) as file:
            before = path.read_text()
            file.write(row_of(opportunity(), NOW_NS))
            assert len(path.read_text().splitlines()) == len(before.splitlines()) + 1
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert tuple(reader.fieldnames or ()) == COLUMNS
    assert len(rows) == 2
    assert rows[0]["found_at"] == "2026-11-21T00:00:00.000000+00:00"
    assert (rows[0]["leg1_side"], rows[0]["leg1_price"]) == ("yes", "0.5000")
    assert rows[0]["leg2_market"] == ""


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SettingsError, match="other columns"), CsvFile(path):
        pass
    assert path.read_text() == "a,b\n1,2\n"
    with pytest.raises(SettingsError, match="No such file"), CsvFile(tmp_path / "no" / "x.csv"):
        pass


# -- the stream ------------------------------------------------------------------------------------


class Flaky:
    """A Redis that takes entries after so many failures."""

    def __init__(self, failures: int) -> None:
        self.left = failures
        self.entries: list[tuple[str, str]] = []

    async def xadd(self, name: str, row: dict[str, str], *, maxlen: int, approximate: bool) -> None:
        assert (maxlen, approximate) == (10_000, True)
        if self.left:
            self.left -= 1
            raise RedisError("away")
        self.entries.append((name, row["found_at"]))


async def test_the_stream_waits_for_redis_and_keeps_the_order() -> None:
    redis = Flaky(failures=1)
    stream = Stream(redis, "my:")
    for number in range(3):
        stream.put({"found_at": str(number)})
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stream.run())
        await stream.drained(timeout_s=5.0)
        task.cancel()
    assert redis.entries == [("my:shard:opportunities", str(number)) for number in range(3)]
    assert (stream.written, stream.dropped) == (3, 0)


async def test_rows_that_wait_are_bounded_and_what_is_lost_is_counted() -> None:
    redis = Flaky(failures=10**9)
    stream = Stream(redis)
    for number in range(1_005):
        stream.put({"found_at": str(number)})
    assert stream.dropped == 5
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stream.run())
        await stream.drained(timeout_s=0.01)
        task.cancel()
    assert (stream.written, stream.dropped) == (0, 1_005)

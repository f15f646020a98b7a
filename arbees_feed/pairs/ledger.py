"""Which pairs there are, kept in step with what the venues say of their markets. Pure.

A market that is new, or says something else than before, is parsed and matched
(`matching/matches.py`); here its matches become records and terms, and what is new of them is told.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from arbees_feed.matching.frame import Frame
from arbees_feed.matching.kalshi import parse_kalshi
from arbees_feed.matching.matches import Key, Match, Matches
from arbees_feed.matching.polymarket import parse_polymarket
from arbees_feed.pairs.fees import Fees, fees_of
from arbees_feed.pairs.listings import KALSHI, kalshi_listing, polymarket_listing
from arbees_feed.pairs.metadata import Meta
from arbees_feed.pairs.rules import Rules
from arbees_feed.pairs.store import PairRecord
from arbees_feed.pairs.table import Terms

ENDED: Final = frozenset({"closed", "settled"})
BY_MATCHER: Final = "matcher"
BY_USER: Final = "user"


class Pair(msgspec.Struct, frozen=True):
    """A pair that is there: what is written of it, and what it is priced by."""

    record: PairRecord
    terms: Terms | None
    """None unless it is confirmed: nobody trades on what is only probable."""


class Changes(msgspec.Struct):
    """What a look at some markets has changed."""

    put: dict[str, Pair] = {}
    """New pairs, and those that are not as before."""
    retired: dict[str, tuple[PairRecord, str]] = {}
    """Pairs that are no more, and why."""

    def add(self, other: "Changes") -> None:
        """Take over what came later."""
        for pair in other.put:
            self.retired.pop(pair, None)
        for pair in other.retired:
            self.put.pop(pair, None)
        self.put.update(other.put)
        self.retired.update(other.retired)


class _Market(msgspec.Struct, gc=False):
    """What is remembered of a market."""

    digest: bytes
    fees: Fees | None
    fees_told: bool


class Ledger:
    """All markets of both venues, and the pairs among them."""

    def __init__(self, now: Callable[[], str], rules: Rules | None = None) -> None:
        """*now* is RFC 3339, for `since`."""
        self._now = now
        self._rules = rules or Rules()
        self._matches = Matches(self._rules)
        self._markets: dict[str, _Market] = {}
        self._pairs: dict[str, Pair] = {}
        self._since: dict[str, tuple[str, str, str]] = {}
        """Grade, polarity and since when, of pairs that a former run has found."""

    @property
    def judged(self) -> int:
        """How often two markets were compared."""
        return self._matches.judged

    @property
    def pairs(self) -> Mapping[str, Pair]:
        """All pairs by their ids."""
        return self._pairs

    @property
    def markets(self) -> int:
        """How many markets are known."""
        return len(self._markets)

    def remember(self, written: Mapping[str, Mapping[str, str]]) -> None:
        """Take the hashes of a former run: what is found again has been there since then."""
        for pair_id, fields in written.items():
            grade, polarity = fields.get("grade", ""), fields.get("polarity", "")
            self._since[pair_id] = (grade, polarity, fields.get("since", ""))

    def unknown(self) -> Iterable[tuple[int, str]]:
        """Yield line and name of what the user's file names and is not there."""
        return self._rules.unknown(self._markets)

    def put(self, meta: Meta) -> Changes:
        """Take what a venue says of a market."""
        if meta.fields.get("status") in ENDED:
            return self.drop(meta.market_id, f"{meta.venue}: the market has ended")
        digest = hashlib.blake2b(repr(sorted(meta.fields.items())).encode(), digest_size=8).digest()
        known = self._markets.get(meta.market_id)
        if known is not None and known.digest == digest:
            return Changes()
        frame = self._parsed(meta)
        fees, told = fees_of(meta.fields)
        self._markets[meta.market_id] = _Market(digest, fees, told)
        return self._changed(self._matches.put(frame), "what a venue says of it has changed")

    def drop(self, market: str, reason: str) -> Changes:
        """Forget a market; its pairs are retired."""
        if self._markets.pop(market, None) is None:
            return Changes()
        return self._changed(self._matches.drop(market), reason)

    def _parsed(self, meta: Meta) -> Frame:
        if meta.venue == KALSHI:
            return parse_kalshi(kalshi_listing(meta.market_id, meta.fields))
        self._rules.learn(meta.market_id, meta.fields)
        return parse_polymarket(polymarket_listing(meta.market_id, meta.fields))

    def _changed(self, touched: Iterable[Key], reason: str) -> Changes:
        """Return how the pairs that were touched differ from what is known of them."""
        changes = Changes()
        for key in touched:
            match, pair_id = self._matches.get(key), pair_id_of(key)
            if match is not None:
                pair = self._pair(pair_id, match)
                if not _alike(self._pairs.get(pair_id), pair):
                    changes.put[pair_id] = self._pairs[pair_id] = self._dated(pair)
            elif pair_id in self._pairs:
                changes.retired[pair_id] = (self._pairs.pop(pair_id).record, reason)
                self._since.pop(pair_id, None)
        return changes

    def _pair(self, pair_id: str, match: Match) -> Pair:
        """Return a match as it is written and priced."""
        verdict = match.verdict
        kalshi, polymarket = (self._markets[market] for market in match.key)
        terms = Terms(
            pair_id, *match.key, verdict.polarity, kalshi.fees, polymarket.fees,
            kalshi.fees_told and polymarket.fees_told,
        )  # fmt: skip
        record = PairRecord(
            pair_id=pair_id,
            kalshi_id=match.key[0],
            polymarket_id=match.key[1],
            grade=verdict.grade,
            confidence=verdict.confidence,
            polarity=verdict.polarity,
            by=BY_USER if match.by_user else BY_MATCHER,
            reasons="; ".join(reason.text() for reason in verdict.reasons),
            conflicts="; ".join(verdict.conflicts),
            since="",
        )
        return Pair(record, terms if verdict.confirmed else None)

    def _dated(self, pair: Pair) -> Pair:
        """Return *pair* with the time since when it has this grade and polarity."""
        record = pair.record
        grade, polarity, since = self._since.get(record.pair_id, ("", "", ""))
        if (grade, polarity) != (record.grade, record.polarity) or not since:
            since = self._now()
        self._since[record.pair_id] = (record.grade, record.polarity, since)
        return Pair(msgspec.structs.replace(record, since=since), pair.terms)


def pair_id_of(key: Key) -> str:
    """Return the id of a pair: the ticker, and eight digits that stand for the token."""
    ticker, token = key
    return f"{ticker}.{hashlib.blake2b(token.encode(), digest_size=4).hexdigest()}"


def _alike(known: Pair | None, pair: Pair) -> bool:
    """Return whether nothing has changed but the time at which it was found."""
    if known is None or known.terms != pair.terms:
        return False
    return known.record == msgspec.structs.replace(pair.record, since=known.record.since)

"""Questions to a venue about markets, on their way: what to ask next, and what is overdue.

A market has one question at a time. Those who prove a connection go first, then what looks wrong,
then what is merely silent, then the audit; a budget holds for all. Pure: the time is an argument.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

import msgspec

from arbees_feed.core.events import BookTold, TopOfBook
from arbees_feed.core.model import MarketId
from arbees_feed.core.ratelimit import TokenBucket
from arbees_feed.feed.market import Market
from arbees_feed.feed.session import Session

ANSWER_S: Final = 2.0
"""An answer over the connection itself takes milliseconds; after so long there is none."""
REST_ANSWER_S: Final = 30.0
AT_ONCE: Final = 100
"""Markets in one question over REST."""


class Reason(IntEnum):
    """Why a market is asked about; the lower goes first."""

    CANARY = 0
    """To tell a quiet connection from a frozen one."""
    CHECKSUM = 1
    SILENCE = 2
    AUDIT = 3


class Question(msgspec.Struct):
    """A market, the connection in question, and how far the question has come."""

    market: Market
    session: Session
    reason: Reason
    ticker: TopOfBook | None = None
    """What is compared when there is no book."""
    asked_s: float = 0.0
    attempts: int = 0
    changes: int = 0
    """`Market.changes` when it was asked."""
    over_rest: bool = False
    """The connection itself gave no answer, or has no such question."""
    unanswered: bool = False
    """The connection was asked in vain."""
    told: BookTold | None = None
    """An answer that does not agree (yet)."""
    judge_s: float = 0.0
    """When to look at *told* again."""

    @property
    def is_canary(self) -> bool:
        """Whether the whole connection is in question."""
        return self.reason is Reason.CANARY


class Questions:
    """All open questions of one venue."""

    def __init__(self, rate_per_s: float) -> None:
        self._bucket = TokenBucket(rate_per_s, 2 * AT_ONCE)
        self._free_s = 0.0
        self._waiting: dict[MarketId, Question] = {}
        self._asked: dict[MarketId, Question] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._asked)

    def get(self, market: MarketId) -> Question | None:
        """Return the question that a market's answer is for."""
        return self._asked.get(market)

    def add(self, question: Question) -> None:
        """Ask soon, unless this market is asked about; a more urgent reason counts."""
        open_question = self._asked.get(question.market.id) or self._waiting.get(question.market.id)
        if open_question is None:
            self._waiting[question.market.id] = question
        elif question.reason < open_question.reason:
            open_question.reason = question.reason

    def close(self, question: Question) -> None:
        """The question is answered, or void."""
        self._asked.pop(question.market.id, None)
        self._waiting.pop(question.market.id, None)

    def again(self, question: Question) -> None:
        """Ask once more."""
        self._asked.pop(question.market.id, None)
        self._waiting[question.market.id] = question

    def next(self, now_s: float) -> list[Question]:
        """Return what the budget lets be asked now, the most urgent first."""
        if not self._waiting or now_s < self._free_s:
            return []
        chosen = sorted(self._waiting.values(), key=lambda q: q.reason)[:AT_ONCE]
        self._free_s = now_s + self._bucket.take(now_s, len(chosen))
        for question in chosen:
            del self._waiting[question.market.id]
            self._asked[question.market.id] = question
            question.asked_s, question.changes = now_s, question.market.changes
            question.attempts += 1
        return chosen

    def asked(self) -> Iterator[Question]:
        """Iterate over what was asked and has not been settled."""
        return iter(list(self._asked.values()))

    def waiting(self) -> Iterator[Question]:
        """Iterate over what is still to be asked."""
        return iter(list(self._waiting.values()))

    def of(self, session: Session) -> list[Question]:
        """Return the questions about a connection as a whole."""
        every = [*self._asked.values(), *self._waiting.values()]
        return [q for q in every if q.session is session and q.is_canary]

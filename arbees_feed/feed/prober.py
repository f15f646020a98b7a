"""Is a silent market quiet or frozen, and are our books the venue's? Asked, not guessed.

Three reasons lead to a question: a silence that is unusual for a connection or a market, a checksum
that does not come out, and the audit, which asks about a sample each minute. Where the venue
answers on the connection itself, in sequence with the changes (Kalshi's get_snapshot), any
difference is an error and the answer its cure. Where only REST answers (Polymarket's books, and
markets of which we have the ticker alone), times are compared and the stream gets `GRACE_S` to
bring what REST has told. A book that is shown to be wrong is taken from readers and made anew; a
connection whose canaries are behind, or do not answer, is replaced.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from arbees_feed.core.book import BookState
from arbees_feed.core.events import BookTold, NoBook
from arbees_feed.core.model import MarketId
from arbees_feed.feed.canaries import canaries
from arbees_feed.feed.compare import Verdict, compare, compare_top, difference, top_of
from arbees_feed.feed.market import Market
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.patrol import Carried, Patrol, is_on, watch_of
from arbees_feed.feed.questions import (
    ANSWER_S,
    AT_ONCE,
    REST_ANSWER_S,
    Question,
    Questions,
    Reason,
)
from arbees_feed.feed.session import Session

GRACE_S: Final = 3.0
"""How long the stream may take to bring what REST has told already (0.75 s is usual)."""
UNTIMED_GRACE_S: Final = 1.5
"""The same where the answer does not say of when it is (Kalshi's tickers take 1.5 s at most)."""
ROUNDS: Final = 3
CANARY_ROUNDS: Final = 2
"""So many answers must differ before a difference counts that may be one of time."""
CURES: Final = 2
"""A book that answers had to mend so often, with none between that agreed, gets no changes."""
REST_EVERY_S: Final = 5.0
FUTURE_NS: Final = 5_000_000_000
"""How far a venue's clock may be ahead of ours."""
AUDIT_S: Final = 60.0
_URGENT: Final = frozenset({Reason.CANARY, Reason.CHECKSUM})
_FIRST_AUDIT_S: Final = 15.0


class ProbeOptions(msgspec.Struct, frozen=True):
    """How much to ask."""

    probes_per_s: float = 20.0
    audit_sample: int = 50
    """Markets that are compared with the venue's own answer in each minute."""


class ProbeStats(msgspec.Struct):
    """Counted over the life of the process; plain values, read by metrics."""

    asked: int = 0
    agreed: int = 0
    differed: int = 0
    """Books that were shown to be wrong."""
    unanswered: int = 0
    frozen: int = 0
    """Connections that were replaced because their data had stopped."""
    last_difference: str = ""

    @property
    def ratio(self) -> float:
        """The share of comparisons that agreed; 1.0 before any."""
        compared = self.agreed + self.differed
        return self.agreed / compared if compared else 1.0


OnIncident = Callable[[str, Session, MarketId, str], None]
"""(kind, connection, market or "", reason)"""


class ProbeHooks(msgspec.Struct, frozen=True):
    """Who acts on what is found; none may raise or wait."""

    on_suspect: Callable[[Session, str], None] = lambda _session, _reason: None
    on_unknown: Callable[[NoBook], None] = lambda _: None
    on_incident: OnIncident = lambda *_: None


class Prober:
    """Looks after the books and connections of one venue; `step` is called often."""

    def __init__(
        self,
        table: MarketTable,
        carried: Carried,
        options: ProbeOptions,
        hooks: ProbeHooks = ProbeHooks(),  # noqa: B008 - frozen
        rng: random.Random | None = None,
    ) -> None:
        self.stats = ProbeStats()
        self._table = table
        self._carried = carried
        self._options = options
        self._hooks = hooks
        self._rng = rng or random.Random()  # noqa: S311 - a sample, not a secret
        self._questions = Questions(options.probes_per_s)
        self.patrol = Patrol(table, carried, self._questions)
        self._rest: dict[MarketId, Question] = {}
        self._rest_due_s = self._audit_due_s = self._now_s = 0.0
        self._now_ns = 0

    # -- asking ------------------------------------------------------------------------------------

    def ask_canaries(self, session: Session, markets: Iterable[MarketId]) -> None:
        """Find out whether a silent connection is quiet: ask about those that move most."""
        for market in canaries(self._table, session, markets, self._now_s):
            ticker = None if is_on(market, session) else market.ticker
            self._questions.add(Question(market, session, Reason.CANARY, ticker))

    def step(self, now_s: float, now_ns: int) -> None:
        """Look at a portion of the books, and see to what was asked."""
        self._now_s, self._now_ns = now_s, now_ns
        self.patrol.step(now_s)
        if not self._audit_due_s:
            self._audit_due_s = now_s + _FIRST_AUDIT_S
        elif now_s >= self._audit_due_s:
            self._audit(now_s)
        for question in self._questions.asked():
            self._follow(question, now_s)
        for question in self._questions.waiting():
            if self._is_void(question):
                self._questions.close(question)
        self._ask(now_s)

    def _ask(self, now_s: float) -> None:
        by_session: dict[Session, list[Question]] = {}
        for question in self._questions.next(now_s):
            self.stats.asked += 1
            self._table.note(question.market.id, "probe", question.reason.name.lower())
            by_session.setdefault(question.session, []).append(question)
        for session, questions in by_session.items():
            books = [q for q in questions if q.ticker is None and not q.over_rest]
            in_band = bool(books) and session.probe([question.market.id for question in books])
            for question in questions:
                if not in_band or question.over_rest or question.ticker is not None:
                    self._ask_rest(question)

    def _ask_rest(self, question: Question) -> None:
        question.over_rest = True
        self._rest[question.market.id] = question

    def _audit(self, now_s: float) -> None:
        self._audit_due_s = now_s + AUDIT_S
        carried = [(s, m) for s, markets in self._carried() for m in markets]
        wanted = min(len(carried), self._options.audit_sample)
        for session, market_id in self._rng.sample(carried, wanted):
            market = self._table.get(market_id)
            if market is not None and is_on(market, session):
                self._questions.add(Question(market, session, Reason.AUDIT))

    # -- answers -----------------------------------------------------------------------------------

    def on_told(self, market: Market, told: BookTold) -> bool:
        """Judge an answer that came over the connection; True: it is right and our book is not."""
        link = market.book_link
        if told.in_step and isinstance(link, Session):
            link.answers += 1
        question = self._questions.get(market.id)
        if market.book is None or market.book.state is not BookState.LIVE:
            return True
        if compare(market.book, market.ts_ns, told) is Verdict.AGREES:
            if question is not None:
                self._agrees(question)
            return False
        text = difference(market.book, told)
        if question is not None:
            self._differs(question, text)
            self._questions.close(question)
            _prove(market, self._now_s)
        return self._cure(market, text)

    def _cure(self, market: Market, text: str) -> bool:
        """Take the answer for our book; a market that needs it again is subscribed anew."""
        watch, link = watch_of(market, self._now_s), market.book_link
        watch.cures += 1
        watch.usual_s = 0.0  # look again soon, whatever is usual
        if watch.cures < CURES or not isinstance(link, Session):
            return True
        watch.cures = 0
        link.remove([market.id])
        link.add([market.id])
        self._table.disprove(market, f"its changes do not come: {text}", self._now_ns)
        return False

    def take_rest(self) -> list[MarketId]:
        """Return the markets to ask about over REST now; their questions wait for the answer.

        What can wait is gathered, so that quiet markets cost a few calls a minute.
        """
        urgent = any(q.reason in _URGENT or q.unanswered for q in self._rest.values())
        if not urgent and self._now_s < self._rest_due_s:
            return []
        self._rest_due_s = self._now_s + REST_EVERY_S
        rest = list(self._rest)[:AT_ONCE]
        for market_id in rest:
            del self._rest[market_id]
        return rest

    def answered(self, markets: Sequence[MarketId], books: Sequence[BookTold]) -> None:
        """Judge an answer over REST; a market that was asked about and is not in it is unknown."""
        told = {book.market: book for book in books}
        for market_id in markets:
            question = self._questions.get(market_id)
            if question is None:
                continue
            if market_id in told:
                self._judge(question, told[market_id])
            else:
                self._questions.close(question)
                self._hooks.on_unknown(NoBook((market_id,)))

    def unanswered(self, markets: Sequence[MarketId]) -> None:
        """REST failed: nothing is learnt, and held only against whom nobody can vouch for."""
        for market_id in markets:
            if (question := self._questions.get(market_id)) is not None:
                self._questions.close(question)
                if question.unanswered:
                    self._stopped(question, "neither the connection nor REST answers")

    def _stopped(self, question: Question, reason: str) -> None:
        self._hooks.on_incident("freeze", question.session, question.market.id, reason)
        self._table.disprove(question.market, reason, self._now_ns)

    def _judge(self, question: Question, told: BookTold) -> None:
        verdict = self._compare(question, told)
        if verdict is Verdict.AGREES:
            self._agrees(question)
        elif verdict is Verdict.AHEAD:
            self._questions.close(question)  # an old answer says nothing of what came since
        elif question.told is None or question.judge_s > self._now_s:
            self._doubt(question, told, f"the venue's answer {verdict.value}")
        elif verdict is Verdict.DIFFERS and question.attempts < self._rounds(question):
            question.told = None
            self._questions.again(question)
        else:
            self._confirm(question, told, verdict)

    def _doubt(self, question: Question, told: BookTold, reason: str) -> None:
        """Give the stream its time to bring what was told."""
        grace_s = GRACE_S if told.ts_ns else UNTIMED_GRACE_S
        question.told, question.judge_s = told, self._now_s + grace_s
        watch_of(question.market, self._now_s).suspicion = reason
        if question.is_canary:
            self._suspect(question.session, f"{question.market.id}: {reason}")

    def _suspect(self, session: Session, reason: str) -> None:
        session.pulse.suspicion = reason
        self._hooks.on_suspect(session, reason)

    def _rounds(self, question: Question) -> int:
        """Return how many answers it takes; a silent connection can't be caught in the middle."""
        if question.unanswered:
            return 1
        return CANARY_ROUNDS if question.is_canary else ROUNDS

    def _compare(self, question: Question, told: BookTold) -> Verdict:
        market, ticker = question.market, question.ticker
        if ticker is None:
            book = market.book
            # A book from the future tells nothing of when it is.
            ts_ns = market.ts_ns if market.ts_ns <= self._now_ns + FUTURE_NS else 0
            return compare(book, ts_ns, told) if book is not None else Verdict.AHEAD
        if market.ticker is not ticker:
            return Verdict.AHEAD
        return compare_top((ticker.bid, ticker.bid_size, ticker.ask, ticker.ask_size), told)

    def _follow(self, question: Question, now_s: float) -> None:
        """See to a question that was asked: void, to be judged again, or without an answer."""
        late = question.over_rest and now_s - question.asked_s >= REST_ANSWER_S
        if self._is_void(question) or (late and question.told is None):
            self._rest.pop(question.market.id, None)
            self._questions.close(question)
        elif question.told is not None:
            if now_s >= question.judge_s:
                self._judge(question, question.told)
        elif question.over_rest:
            return
        elif now_s - question.asked_s >= ANSWER_S:
            self._overdue(question)

    def _is_void(self, question: Question) -> bool:
        market, session = question.market, question.session
        if question.is_canary and session.pulse.data_s > question.asked_s > 0:
            return True  # the connection speaks: there is nothing to prove
        if question.ticker is not None:
            return market.ticker is not question.ticker
        return not is_on(market, session)

    def _overdue(self, question: Question) -> None:
        self.stats.unanswered += 1
        if question.market.changes != question.changes:
            self._questions.close(question)  # it moves: whatever this is, it is not frozen
            return
        if not question.is_canary and question.session.pulse.data_s < question.asked_s:
            question.reason, question.attempts = Reason.CANARY, 1  # nothing else came either
        reason = f"no answer to {question.attempts} questions about {question.market.id}"
        watch_of(question.market, self._now_s).suspicion = reason
        if question.attempts < 2:  # noqa: PLR2004 - asked once
            if question.is_canary:
                self._suspect(question.session, reason)
            self._questions.again(question)
            return
        if question.is_canary:
            self._questions.close(question)
            self._frozen(question.session, reason)
        else:
            # Alone among its siblings: it may have ended. REST knows.
            question.asked_s, question.unanswered = self._now_s, True
            self._ask_rest(question)

    # -- verdicts ----------------------------------------------------------------------------------

    def _agrees(self, question: Question) -> None:
        self.stats.agreed += 1
        watch_of(question.market, self._now_s).cures = 0
        self._table.note(question.market.id, "answer", "agrees")
        self._questions.close(question)
        _prove(question.market, self._now_s)
        session = question.session
        if question.is_canary and not any(q.told for q in self._questions.of(session)):
            session.pulse.answered(self._now_s)

    def _differs(self, question: Question, text: str) -> None:
        self.stats.differed += 1
        self._table.note(question.market.id, "answer", f"differs: {text}")
        reason = f"{question.market.id}: {text}"
        self.stats.last_difference = reason
        self._hooks.on_incident("mismatch", question.session, question.market.id, text)
        if self._is_silent(question):
            self._frozen(question.session, reason)

    def _is_silent(self, question: Question) -> bool:
        """Tell whether a difference speaks against the whole connection.

        It does when nothing came while the stream had its time to bring what REST has told. Over
        the connection itself one wrong book is cured by the answer; a second one, on a connection
        that is silent, shows that changes do not come any more.
        """
        pulse = question.session.pulse
        if question.told is not None:
            return pulse.data_s < question.asked_s
        if question.is_canary:
            pulse.differing += 1
        return pulse.differing > 1

    def _confirm(self, question: Question, told: BookTold, verdict: Verdict) -> None:
        text = _evidence(question, told, verdict)
        self._questions.close(question)
        self._differs(question, text)
        if question.ticker is None:
            reason = f"not the venue's book: {text}"
            self._table.disprove(question.market, reason, self._now_ns)

    def _frozen(self, session: Session, reason: str) -> None:
        if session.is_failing:
            return
        self.stats.frozen += 1
        self._hooks.on_incident("freeze", session, MarketId(""), reason)
        session.fail(f"alive, but frozen: {reason}")


def _prove(market: Market, now_s: float) -> None:
    watch = watch_of(market, now_s)
    watch.proved_s, watch.suspicion, watch.wrong_since_s = now_s, "", 0.0


def _evidence(question: Question, told: BookTold, verdict: Verdict) -> str:
    market, ticker = question.market, question.ticker
    if ticker is not None:
        ours = (ticker.bid, ticker.bid_size, ticker.ask, ticker.ask_size)
        return f"ticker {ours} here, {top_of(told)} there"
    where = difference(market.book, told) if market.book is not None else "no book"
    if verdict is Verdict.BEHIND:
        return f"is {(told.ts_ns - market.ts_ns) / 1e9:.1f} s behind the venue: {where}"
    return where

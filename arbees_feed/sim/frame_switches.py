"""Faults of single frames, of what they say, and of commands."""

from collections import Counter
from typing import get_args

from arbees_feed.sim.config import KALSHI, Venue
from arbees_feed.sim.drift import EXTRA_FIELD, USUAL_FIELD, Drift, DriftKind
from arbees_feed.sim.faults import CommandFault, FrameFault
from arbees_feed.sim.garbage import MISSHAPEN, NOISE, misshapen
from arbees_feed.sim.switches import Ending, Switches, venues_meant


class FrameSwitches(Switches):
    """What is lost, repeated, swapped, false or unreadable."""

    def drop_frames(self, market: str, count: int = 1) -> None:
        """Lose the next book frames of a market; on Kalshi their `seq` is used up."""
        self._befall(market, "drop", count)

    def duplicate_frames(self, market: str, count: int = 1) -> None:
        """Send the next book frames of a market twice."""
        self._befall(market, "duplicate", count)

    def reorder_frames(self, market: str, count: int = 1) -> None:
        """Let the next book frame of a market leave after the one that follows it."""
        self._befall(market, "reorder", count)

    def corrupt_level(self, market: str, count: int = 1, *, deep: bool = False) -> None:
        """Tell the next changes of a market wrong, while `seq`, hash and best prices are right.

        A level is told one contract too large; with *deep*, the change of a level behind the best
        is not told at all. Later whole books are right, and mend it.
        """
        self._befall(market, "omit" if deep else "corrupt", count)

    def wrong_hash(self, market: str, count: int = 1) -> None:
        """Give the next changes and books of a Polymarket market a wrong hash."""
        self._state.wrong_hashes[self._market(market).id] += count

    def reset_sequence(self, venue: Venue = KALSHI) -> int:
        """Let the sequences of all subscriptions fall back to 1; return how many."""
        if venue != KALSHI:
            raise ValueError(f"{venue} has no sequence numbers")
        self._count("sequence_resets")
        return self._kalshi().reset_sequences()

    def send_text(self, venue: Venue, text: str) -> int:
        """Send any text to all sockets of a venue; return to how many."""
        self._count("sent_texts")
        return self._feed(venue).broadcast(text.encode(), binary=False)

    def send_bytes(self, venue: Venue, data: bytes) -> int:
        """Send any bytes as a binary message to all sockets of a venue; return to how many."""
        self._count("sent_bytes")
        return self._feed(venue).broadcast(data, binary=True)

    def garbage(self, venue: Venue, kind: str, market: str | None = None) -> int:
        """Send one frame that no client expects; return to how many sockets.

        Noise goes to all sockets. A misshapen message is a whole book of *market* (without one: of
        the first that somebody follows) and goes to those who follow it.
        """
        if kind in NOISE:
            frame = NOISE[kind]()
            sent = self._feed(venue).broadcast(frame.data, binary=frame.binary)
        elif kind in MISSHAPEN:
            sent = self._misshape(venue, kind, market)
        else:
            raise ValueError(f"garbage is one of {', '.join(sorted({*NOISE, *MISSHAPEN}))}")
        self._count("garbage")
        return sent

    def drift(
        self,
        venue: Venue,
        kind: DriftKind = "rename",
        field: str | None = None,
        message: str | None = None,
    ) -> None:
        """Change all later messages with market data, or all of one type, without notice."""
        if kind not in get_args(DriftKind):
            raise ValueError(f"drift is one of {', '.join(get_args(DriftKind))}")
        self._count("drifts")
        usual = EXTRA_FIELD if kind == "extra" else USUAL_FIELD[venue]
        self._feed(venue).writing.rewrite = Drift(kind, field or usual, message)

    def end_subscriptions(self, code: int = 25) -> int:
        """End Kalshi's book subscriptions with a terminal error (10 or 25); return how many."""
        self._count("ended_subscriptions")
        return self._kalshi().end_subscriptions(code)

    def ignore_commands(self, venue: Venue, count: int = 1) -> None:
        """Neither carry out nor answer the next frames from clients (also no PONG)."""
        self._state.ignored_commands[venue] += count

    def fail_commands(self, code: int = 27, count: int = 1, *, carried_out: bool = False) -> None:
        """Answer the next Kalshi commands with an error, such as 18, 26 or 27.

        With *carried_out* they take effect all the same, unconfirmed: after 18 nobody knows.
        """
        self._state.failing_commands.append(CommandFault(code, count, carried_out))

    def _befall(self, market: str, fault: FrameFault, count: int) -> None:
        waiting = self._state.frames.setdefault(self._market(market).id, Counter())
        waiting[fault] += count

    def _misshape(self, venue: Venue, kind: str, market: str | None) -> int:
        feed = self._feed(venue)
        named = self._market(market) if market is not None else None
        chosen = [named] if named else self._shared.world.markets(venue)
        for one in chosen:
            books = feed.whole_books(one)
            for socket, good in books:
                socket.send(misshapen(kind, good))
                socket.flush()
            if books:
                return len(books)
        return 0

    def _frame_endings(self) -> dict[str, Ending]:
        state = self._state
        return {
            "drop_frames": self._sparing("drop"),
            "duplicate_frames": self._sparing("duplicate"),
            "reorder_frames": self._end_reordering,
            "corrupt_level": self._sparing("corrupt", "omit"),
            "wrong_hash": lambda venue, market: self._forget(state.wrong_hashes, venue, market),
            "drift": self._end_drift,
            "ignore_commands": self._heed_commands,
            "fail_commands": lambda *_: state.failing_commands.clear(),
        }

    def _sparing(self, *faults: FrameFault) -> Ending:
        def spare(venue: Venue | None, market: str | None) -> None:
            for market_id in self._meant(self._state.frames, venue, market):
                waiting = self._state.frames.get(market_id, Counter())
                for fault in faults:
                    del waiting[fault]
                if not waiting:
                    self._state.frames.pop(market_id, None)

        return spare

    def _end_reordering(self, venue: Venue | None, market: str | None) -> None:
        self._sparing("reorder")(venue, market)
        for feed in self._feeds.values():
            for market_id in self._meant(feed.overtaken, venue, market):
                feed.let_go(market_id)

    def _end_drift(self, venue: Venue | None, _: str | None) -> None:
        for name in venues_meant(venue):
            self._feed(name).writing.rewrite = None

    def _heed_commands(self, venue: Venue | None, _: str | None) -> None:
        for name in venues_meant(venue):
            del self._state.ignored_commands[name]

    def _forget(self, counts: Counter[str], venue: Venue | None, market: str | None) -> None:
        for market_id in self._meant(counts, venue, market):
            del counts[market_id]

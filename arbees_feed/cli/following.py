"""Everything that a table of prices shows, read into its board."""

import asyncio
import time
from collections.abc import Callable

from arbees_feed.cli.board import Board
from arbees_feed.cli.facts import POLICY, Facts
from arbees_feed.cli.prices import Intake, entered
from arbees_feed.config import RedisSettings
from arbees_feed.reader import PriceReader
from arbees_feed.supervisor import keep_running


class Following:
    """Hands each price that a reader has, and the facts beside them, to a board."""

    def __init__(
        self,
        settings: RedisSettings,
        reader: PriceReader,
        board: Board,
        *,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._reader = reader
        self._board = board
        self._facts = Facts(settings, board, venues=reader.venues, untitled=board.untitled)
        self._time_ns = time_ns
        board.lives = reader.venues

    async def run(self) -> None:
        """Follow until cancelled, over losses of Redis.

        Raises:
            AuthenticationRejected: Redis does not let us read prices.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read())
            group.create_task(keep_running(self._facts, policy=POLICY))

    async def _read(self) -> None:
        async with entered(self._reader):
            intake, on_price = Intake(self._reader), self._board.on_price
            while True:
                prices, may_be_old = await intake.next()
                now_ns = self._time_ns()
                for price in prices:
                    on_price(price, now_ns, joined=may_be_old)

"""How many commands may be without a reply: as many as Redis answers in a moment.

A bound in commands alone is a bound of memory, not of age: over a slow link the prices behind it
are minutes old when they arrive. So the bound is halved while replies take long and doubled while
they are quick.
"""

MOST = 20_000
"""Beyond this prices are conflated however fast Redis is: some 20 ms of its time."""

FEWEST = 20

SLOW_NS = 250_000_000
"""A reply that takes so long means that too much was under way."""

QUICK_NS = SLOW_NS // 4


class Window:
    """A limit that follows the age of replies."""

    __slots__ = ("limit",)

    def __init__(self) -> None:
        self.limit = MOST

    def answered(self, took_ns: int) -> None:
        """Take the time from a write to its last reply."""
        if took_ns > SLOW_NS:
            self.limit = max(FEWEST, self.limit // 2)
        elif took_ns < QUICK_NS and self.limit < MOST:
            self.limit = min(MOST, self.limit * 2)

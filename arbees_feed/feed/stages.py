"""How long the stages of a frame take, cheaply enough to stay on: a sample of frames is timed."""

from arbees_feed.core.histogram import LatencyHistogram


class Stages:
    """Histograms of one venue, over the life of the process."""

    def __init__(self) -> None:
        self.arrival = LatencyHistogram()
        """The venue's time of a change to its frame read; the difference of the clocks is in it."""
        self.decode = LatencyHistogram()
        """Bytes to events."""
        self.apply = LatencyHistogram()
        """Events to books, and to prices encoded and queued."""

"""The parts of a running feed that know what others may ask."""

from collections.abc import Sequence
from typing import Any

import msgspec

from arbees_feed.app.venue import Venue
from arbees_feed.core.wire import Names
from arbees_feed.ops.matcher import MatcherWatch
from arbees_feed.ops.stalls import Stalls
from arbees_feed.publish.leftovers import Leftovers
from arbees_feed.publish.service import Publisher
from arbees_feed.publish.subscribers import SubscriberWatch
from arbees_feed.supervisor import Supervisor


class Inside(msgspec.Struct, frozen=True):
    """Where things are known; apart from the endpoint, for a feed without one need not load it."""

    venues: Sequence[Venue]
    publisher: Publisher
    left: Sequence[Leftovers]
    subscribers: SubscriberWatch
    stalls: Stalls
    matcher: MatcherWatch
    supervisors: Sequence[Supervisor]
    redis: Any
    names: Names

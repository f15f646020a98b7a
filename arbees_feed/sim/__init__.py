"""Simulated Kalshi and Polymarket on loopback: WebSocket and REST, faithful to the venues.

It shares no code with the decoders that it tests.
"""

from arbees_feed.sim.config import KALSHI, POLYMARKET, Recording, SimConfig, Venue
from arbees_feed.sim.control import Faults
from arbees_feed.sim.credentials import Credentials
from arbees_feed.sim.orders import Order
from arbees_feed.sim.rehearsal import rehearse
from arbees_feed.sim.scenarios import SCENARIOS, Step, schedule, storm
from arbees_feed.sim.server import SimServer, serve
from arbees_feed.sim.world import Event, Market, World

__all__ = [
    "KALSHI",
    "POLYMARKET",
    "SCENARIOS",
    "Credentials",
    "Event",
    "Faults",
    "Market",
    "Order",
    "Recording",
    "SimConfig",
    "SimServer",
    "Step",
    "Venue",
    "World",
    "rehearse",
    "schedule",
    "serve",
    "storm",
]

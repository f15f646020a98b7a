"""Live prices of prediction markets on Redis channels."""

__version__ = "0.1.0"

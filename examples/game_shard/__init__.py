"""A small service that watches games: prices from Redis in, opportunities out. See README.md."""

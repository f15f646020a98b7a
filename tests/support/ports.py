"""Ports for servers that can't be asked to find one themselves."""

import random
import socket

FIRST, LAST = 10_000, 22_000
"""Below what systems hand out to those who connect, so that nobody takes one before its server has;
a node of a cluster also listens 10,000 above, and that is to be so too.
"""
BUS = 10_000


def free_port() -> int:
    """Return a port that nobody listens on, and nobody 10,000 above it."""
    while True:
        port = random.SystemRandom().randrange(FIRST, LAST)
        if _is_free(port) and _is_free(port + BUS):
            return port


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True

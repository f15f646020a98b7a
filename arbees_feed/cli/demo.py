"""`arbees-feed demo`."""


def demo() -> None:
    """Not there yet."""

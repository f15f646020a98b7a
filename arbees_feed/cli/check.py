"""`arbees-feed check`."""


def check() -> None:
    """Not there yet."""

"""`arbees-feed record` and `replay`."""


def record() -> None:
    """Not there yet."""


def replay() -> None:
    """Not there yet."""

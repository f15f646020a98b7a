"""`arbees-feed markets`."""


def markets() -> None:
    """Not there yet."""

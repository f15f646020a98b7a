"""`arbees-feed watch`."""


def watch() -> None:
    """Not there yet."""

"""Addresses that are tried in turn."""

from arbees_feed.core.rotation import Rotation


def test_it_stays_while_the_address_works() -> None:
    urls = Rotation(["a", "b"])
    assert [urls.current, urls.current] == ["a", "a"]


def test_failures_go_round() -> None:
    urls = Rotation(["a", "b"])
    seen = []
    for _ in range(3):
        seen.append(urls.current)
        urls.failed(urls.current)
    assert seen == ["a", "b", "a"]


def test_a_failure_told_by_two_connections_moves_on_once() -> None:
    urls = Rotation(["a", "b", "c"])
    urls.failed("a")
    urls.failed("a")
    assert urls.current == "b"


def test_a_single_address_is_tried_again() -> None:
    urls = Rotation(["a"])
    urls.failed("a")
    assert urls.current == "a"

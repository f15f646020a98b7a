"""The driver of crawls."""

import pytest

from arbees_feed.core.venue import Crawl, Found, Request
from arbees_feed.enrich.crawl import Crawling, crawl
from arbees_feed.errors import RequestFailed


class Answers:
    """A fetcher that answers from a table; an exception is raised once."""

    def __init__(self, **answers: bytes | Exception | None) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def fetch(self, request: Request) -> bytes | None:
        """Answer, or fail the first time."""
        self.asked.append(request.url)
        answer = self.answers[request.url]
        if isinstance(answer, Exception):
            self.answers[request.url] = b"at last"
            raise answer
        return answer


def plan(got: list[bytes | None]) -> Crawl:
    """Ask twice, and hand over something after each answer."""
    got.append((yield Request("a")))
    yield Found()
    yield Found()
    got.append((yield Request("b")))
    yield Found()


async def test_answers_go_back_to_the_crawl_that_asked() -> None:
    got: list[bytes | None] = []
    findings = [found async for found in crawl(plan(got), Answers(a=b"1", b=None))]
    assert (len(findings), got) == (3, [b"1", None])


async def test_a_failed_request_is_made_again_where_the_crawl_stopped() -> None:
    got: list[bytes | None] = []
    fetcher = Answers(a=b"1", b=RequestFailed("no", status=503))
    crawling = Crawling(plan(got))
    with pytest.raises(RequestFailed):
        _ = [found async for found in crawling.findings(fetcher)]
    rest = [found async for found in crawling.findings(fetcher)]
    assert (fetcher.asked, got, len(rest)) == (["a", "b", "b"], [b"1", b"at last"], 1)
    assert crawling.requests == 2


async def test_a_crawl_that_has_ended_stays_ended() -> None:
    crawling = Crawling(plan([]))
    fetcher = Answers(a=b"", b=b"")
    assert len([found async for found in crawling.findings(fetcher)]) == 3
    assert [found async for found in crawling.findings(fetcher)] == []

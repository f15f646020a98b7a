"""A health check for containers without curl: exit 0 if the feed has fresh prices, else 1.

    HEALTHCHECK CMD ["python", "-m", "arbees_feed.ops.probe", "http://127.0.0.1:9464"]

It uses the standard library only, so that it starts fast, and no proxy, so that it asks this host.
"""

import json
import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:9464/readyz"
_LARGEST_BODY_BYTES = 65_536
_OK = 200


def probe(url: str = DEFAULT_URL, timeout_s: float = 3.0) -> int:
    """Ask *url* (without a path: its /readyz) and return 0 if it answers 200, else 1.

    Prints one line when it returns 1.
    """
    try:
        problem = _problem(url, timeout_s)
    except (OSError, HTTPException, ValueError) as exc:
        problem = f"cannot ask {url}: {getattr(exc, 'strerror', None) or exc}"
    if problem is None:
        return 0
    print(" ".join(problem.split()))  # noqa: T201 - Docker shows it
    return 1


def _problem(url: str, timeout_s: float) -> str | None:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("not an http:// URL")
    connection = HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    try:
        path = parts.path.rstrip("/") or "/readyz"
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read(_LARGEST_BODY_BYTES)
    finally:
        connection.close()
    return None if response.status == _OK else f"not ready: {_missing(body, response.status)}"


def _missing(body: bytes, status: int) -> str:
    try:
        missing = json.loads(body)["missing"]
        return "; ".join(f"{name}: {reason}" for name, reason in missing.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"status {status}"


if __name__ == "__main__":
    sys.exit(probe(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_URL))

"""What both venues' REST interfaces share: faults, query parameters, pages, bodies."""

import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from aiohttp import web

from arbees_feed.sim.config import Venue
from arbees_feed.sim.faults import FaultState
from arbees_feed.sim.timing import delay

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
T = TypeVar("T")

CONTROL_PREFIX = "/sim/"


def rest_faults(venue: Venue, faults: FaultState) -> Any:
    """Return the middleware that applies REST faults; the controls stay usable."""

    @web.middleware
    async def apply(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL_PREFIX) or "Upgrade" in request.headers:
            return await handler(request)
        fault = faults.rest_fault(venue, request.path)
        if fault is None:
            return await handler(request)
        if fault.delay_s:
            await delay(fault.delay_s)
        if not fault.status:
            response = await handler(request)
            if fault.lost and request.transport is not None:
                request.transport.abort()
            return response
        return web.Response(
            status=fault.status,
            headers=fault.headers,
            text=fault.body,
            content_type=fault.content_type,
        )

    return apply


def number(
    request: web.Request, name: str, default: int, *, low: int = 0, high: int = 2**53
) -> int:
    """Return an integer parameter within its bounds; 400 for anything else."""
    text = request.query.get(name)
    if text is None or text == "":
        return default
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise bad_request(f"invalid {name}")
    return value


def flag(request: web.Request, name: str, *, default: bool = False) -> bool:
    """Return a boolean parameter."""
    text = request.query.get(name)
    return default if text is None else text.lower() in ("true", "1")


def several(request: web.Request, *names: str) -> list[str]:
    """Return the values of a repeated key."""
    return [value for name in names for value in request.query.getall(name, [])]


def listed(request: web.Request, name: str) -> list[str]:
    """Return the values of a comma-joined parameter."""
    return [part for part in request.query.get(name, "").split(",") if part]


def page(items: Sequence[T], cursor: str, limit: int) -> tuple[list[T], str]:
    """Return a page and the cursor of the next one, empty at the end."""
    start = _position(cursor)
    chosen = list(items[start : start + limit])
    following = start + limit
    return chosen, _cursor(following) if following < len(items) else ""


def error(status: int, body: Json) -> web.HTTPException:
    """Return an HTTP error to raise, with a JSON body."""
    kinds: dict[int, type[web.HTTPException]] = {
        400: web.HTTPBadRequest,
        401: web.HTTPUnauthorized,
        404: web.HTTPNotFound,
        422: web.HTTPUnprocessableEntity,
    }
    return kinds[status](text=json.dumps(body), content_type="application/json")


def bad_request(details: str) -> web.HTTPException:
    """Return a 400 in the shape that Kalshi was seen to send."""
    return error(
        400, {"error": {"code": "bad_request", "message": "bad request", "details": details}}
    )


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"at:{position}".encode()).decode()


def _position(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor.encode()).decode().removeprefix("at:"))
    except ValueError:
        raise bad_request("invalid cursor") from None

"""Who we talk to is who the certificate says: on every connection, and there is no switch."""

import ast
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from support.tls import self_signed

import arbees_feed
from arbees_feed.core.venue import Request
from arbees_feed.errors import ConnectionLost, RequestFailed
from arbees_feed.transport.http import HttpFetcher
from arbees_feed.transport.websocket import open_websocket


@asynccontextmanager
async def served(context: ssl.SSLContext) -> AsyncIterator[str]:
    """Serve `/ws` and `/rest` behind a certificate; yield the address."""

    async def upgrade(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")
        await socket.receive()
        return socket

    async def rest(_request: web.Request) -> web.Response:
        return web.Response(body=b"{}")

    app = web.Application()
    app.router.add_get("/ws", upgrade)
    app.router.add_get("/rest", rest)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield f"127.0.0.1:{site.port}"
    finally:
        await runner.cleanup()


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    server, _ = self_signed(tmp_path)
    async with served(server) as address, aiohttp.ClientSession(trust_env=True) as session:
        with pytest.raises(ConnectionLost, match="certificate verify failed"):
            async with open_websocket(session, f"wss://{address}/ws", {}):
                pass
        with pytest.raises(RequestFailed, match="certificate verify failed"):
            await HttpFetcher(session).fetch(Request(f"https://{address}/rest"))


async def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    server, client = self_signed(tmp_path)
    connector = aiohttp.TCPConnector(ssl=client)
    async with served(server) as address, aiohttp.ClientSession(connector=connector) as session:
        other = address.replace("127.0.0.1", "localhost")
        with pytest.raises(ConnectionLost, match="certificate verify failed: Hostname mismatch"):
            async with open_websocket(session, f"wss://{other}/ws", {}):
                pass
        with pytest.raises(RequestFailed, match="certificate verify failed: Hostname mismatch"):
            await HttpFetcher(session).fetch(Request(f"https://{other}/rest"))


async def test_the_same_server_is_reached_by_who_trusts_its_certificate(tmp_path: Path) -> None:
    """So the refusals above are about the certificate, and about nothing else."""
    server, client = self_signed(tmp_path)
    connector = aiohttp.TCPConnector(ssl=client)
    async with served(server) as address, aiohttp.ClientSession(connector=connector) as session:
        async with open_websocket(session, f"wss://{address}/ws", {}) as socket:
            assert await socket.receive() == [b"hello"]
        assert await HttpFetcher(session).fetch(Request(f"https://{address}/rest")) == b"{}"


FORBIDDEN = {"CERT_NONE", "CERT_OPTIONAL", "_create_unverified_context", "verify_ssl"}


def ways_round(tree: ast.AST) -> list[int]:
    """Return the lines that switch verification off, whatever the library."""
    found = []
    for node in ast.walk(tree):
        match node:
            case (
                ast.keyword(
                    arg="ssl" | "verify" | "check_hostname", value=ast.Constant(value=False)
                )
                | ast.keyword(arg="verify_ssl" | "ssl_cert_reqs" | "ssl_check_hostname")
            ):
                found.append(node.value.lineno)
            case ast.Attribute(attr=name) | ast.Name(id=name) if name in FORBIDDEN:
                found.append(node.lineno)
            case ast.Assign(targets=[ast.Attribute(attr="check_hostname" | "verify_mode")]):
                found.append(node.lineno)
    return found


def test_nothing_in_the_package_switches_verification_off() -> None:
    package = Path(arbees_feed.__file__).parent
    found = {
        str(module.relative_to(package)): lines
        for module in package.rglob("*.py")
        if (lines := ways_round(ast.parse(module.read_text())))
    }
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        "session.get(url, ssl=False)",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "ssl._create_unverified_context()",
        "Redis(ssl_cert_reqs='none')",
        "TCPConnector(verify_ssl=True)",
    ],
)
def test_this_test_finds_what_it_looks_for(code: str) -> None:
    assert ways_round(ast.parse(code)) != []

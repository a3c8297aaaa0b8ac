# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request on a connection of its own, within one time limit, its phases timed by a clock nobody can set back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from ansible_collections.fleetcare.maintenance.plugins.module_utils.web import connection
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.connection import Trouble, trouble
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.url import Url, is_address
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.wire import Response, ResponseReader, WireError

#: The phases of a request in their order, and what a person calls them.
PHASES = {
    "dns": "name resolution",
    "connect": "the attempt to connect",
    "tls": "the TLS handshake",
    "first_byte": "the wait for the first byte",
    "transfer": "the transfer of the answer",
}


@dataclass
class Stopwatch:
    """Seconds spent in each phase; a request that follows redirects adds up. ``reached`` outlasts the stop."""

    monotonic: Callable[[], float]
    seconds: dict[str, float] = field(default_factory=dict)
    phase: str = ""
    reached: str = ""
    since: float = 0.0
    connected: bool = False

    def enter(self, phase: str) -> None:
        """End the phase before, if any, and begin this one; empty stops the watch."""
        now = self.monotonic()
        if self.phase:
            self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + now - self.since
        self.phase, self.since = phase, now
        self.reached = phase or self.reached


@dataclass(frozen=True)
class Route:
    """How to get to a URL: ``connect_to`` (address, port or 0) instead of its host, ``sni`` instead of its name."""

    ip_version: str
    connect_to: tuple[str, int] | None
    sni: str | None
    context: ssl.SSLContext | None
    handshake_seconds: float


class _Exchange(asyncio.Protocol):
    """Feeds a reader; ``done`` is set when the answer is whole or can never be."""

    def __init__(self, reader: ResponseReader, watch: Stopwatch, loop: asyncio.AbstractEventLoop) -> None:
        self.reader = reader
        self.watch = watch
        self.failure: Trouble | None = None
        self.done: asyncio.Future[None] = loop.create_future()
        self._silent = True

    def data_received(self, data: bytes) -> None:
        if self.done.done():
            return
        if self._silent:
            self._silent = False
            self.watch.enter("transfer")
        try:
            if self.reader.feed(data):
                self._finish(None)
        except WireError as error:
            self._finish(Trouble("protocol", str(error)))

    def eof_received(self) -> bool:
        self._closed()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and not self.done.done():
            self._finish(trouble(exc))
        self._closed()

    def _closed(self) -> None:
        if self.done.done():
            return
        try:
            self.reader.end()
            self._finish(None)
        except WireError as error:
            self._finish(Trouble("protocol" if self.reader.begun or not self._silent else "reset", str(error)))

    def _finish(self, failure: Trouble | None) -> None:
        if not self.done.done():
            self.watch.enter("")
            self.failure = failure
            self.done.set_result(None)


async def exchange(url: Url, request: bytes, reader: ResponseReader, *, route: Route, watch: Stopwatch) -> Response:
    """Send a request, read its answer, close. Raises Trouble; the caller limits the time and may cancel."""
    loop = asyncio.get_running_loop()
    host, port = route.connect_to or (url.host, 0)
    port = port or url.port
    transport: asyncio.BaseTransport | None = None
    try:
        if is_address(host):
            places = connection.addresses(host, port)
        else:
            watch.enter("dns")
            places = await connection.resolve(host, port, route.ip_version)
        watch.enter("connect")
        link = await connection.connect(places)
        watch.connected = True
        protocol = _Exchange(reader, watch, loop)
        if url.scheme == "https":
            watch.enter("tls")
            transport, _protocol = await loop.create_connection(
                lambda: protocol,
                sock=link,
                ssl=route.context,
                server_hostname=route.sni or url.host,
                ssl_handshake_timeout=route.handshake_seconds,
            )
        else:
            transport, _protocol = await loop.create_connection(lambda: protocol, sock=link)
        watch.enter("first_byte")
        cast(asyncio.WriteTransport, transport).write(request)
        await protocol.done
    except (OSError, ssl.SSLError) as error:
        raise trouble(error) from None
    finally:
        watch.enter("")
        if transport is not None:
            cast(asyncio.WriteTransport, transport).abort()
    if protocol.failure is not None:
        raise protocol.failure
    return reader.response

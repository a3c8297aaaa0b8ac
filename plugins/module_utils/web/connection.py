# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a name to an open connection: DNS, connect, TLS, each timed apart, and every way to fail told apart.

Names are resolved in daemon threads: a name server that hangs holds up neither the other endpoints nor the end of the
module. Addresses are tried a quarter of a second after each other (RFC 8305 section 5), so that a dead address family
does not hide a living one.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean

STAGGER_SECONDS = 0.25
MAX_ADDRESSES = 8

#: Family and socket address, as getaddrinfo gives them.
Address = tuple[int, Any]
_FAMILIES = {"any": socket.AF_UNSPEC, "4": socket.AF_INET, "6": socket.AF_INET6}
# Verification results of OpenSSL's x509_vfy.h, in words that tell what to do.
_VERIFY = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is self-signed and not trusted",
    19: "the chain ends in a self-signed certificate that is not trusted",
    20: "the issuer of the certificate is not known: an intermediate is missing or the authority is not trusted",
    21: "the certificate cannot be verified: an intermediate is missing or the authority is not trusted",
    23: "the certificate has been revoked",
    62: "the certificate is for other names",
    64: "the certificate is for other addresses",
}
_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM, errno.ENETDOWN)
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Trouble(Exception):
    """Why a request got no answer: ``cause`` is one of :data:`CAUSES`, ``detail`` a few words."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = clean(detail)


#: The causes, and what to do about each. ``local`` is the probing host's own fault.
CAUSES = {
    "dns": "Check the record of the name, and the resolver of the probing host.",
    "refused": "Start the service, or correct the port; see service_check and service_recover.",
    "unreachable": "Check route, address and firewall between the probing host and the endpoint.",
    "timeout": "Check the firewall if nothing takes the connection, and the application if nothing is answered.",
    "tls": "Look at certificate, chain and protocol versions with certificate_check.",
    "reset": "Read the log of the server or proxy: it closed the connection before it answered.",
    "protocol": "Check that an HTTP server listens on this port, and read its log.",
    "redirect": "Correct the redirect in the web server, or allow it with redirect_other_host or redirect_downgrade.",
    "local": "Lower concurrency, or raise the limits of the probing host (ulimit -n).",
}


async def resolve(host: str, port: int, ip_version: str) -> list[Address]:
    """The addresses of a host in the order to try them; raises Trouble."""
    family = _FAMILIES[ip_version]
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def ask() -> None:
        try:
            outcome: Any = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            outcome = error
        try:
            loop.call_soon_threadsafe(_settle, answer, outcome)
        except RuntimeError:
            return  # The loop has been closed: nobody waits for this name any more.

    try:
        threading.Thread(target=ask, daemon=True).start()
    except RuntimeError:
        raise Trouble("local", "no thread could be started") from None
    outcome = await answer
    if isinstance(outcome, Exception):
        raise Trouble("dns", _dns_words(outcome, ip_version))
    return [(one[0], one[4]) for one in outcome][:MAX_ADDRESSES]


def _settle(answer: asyncio.Future[Any], outcome: Any) -> None:
    if not answer.done():
        answer.set_result(outcome)


def addresses(host: str, port: int) -> list[Address]:
    """The one address of a host that is written as an address."""
    return [(socket.AF_INET6, (host, port, 0, 0)) if ":" in host else (socket.AF_INET, (host, port))]


def _dns_words(error: Exception, ip_version: str) -> str:
    code = getattr(error, "errno", None)
    if code == socket.EAI_AGAIN:
        return "the name server does not answer"
    kind = "" if ip_version == "any" else f"IPv{ip_version} "
    return f"the name has no {kind}address"


async def connect(places: Sequence[Address]) -> socket.socket:
    """The first of some addresses that takes a connection; raises Trouble or OSError."""
    waiting: deque[Address] = deque(places)
    pending: set[asyncio.Task[socket.socket]] = set()
    failure: Exception = Trouble("dns", "the name has no address")
    try:
        while waiting or pending:
            if waiting:
                pending.add(asyncio.ensure_future(_connect_one(waiting.popleft())))
            done, pending = await asyncio.wait(
                pending, timeout=STAGGER_SECONDS if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            winners = [task.result() for task in done if task.exception() is None]
            for spare in winners[1:]:
                spare.close()
            if winners:
                return winners[0]
            failure = next((error for task in done if isinstance(error := task.exception(), Exception)), failure)
        raise failure
    finally:
        for task in pending:
            task.add_done_callback(_close_late)
            task.cancel()


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect_one(place: Address) -> socket.socket:
    family, address = place
    link = socket.socket(family, socket.SOCK_STREAM)
    try:
        link.setblocking(False)
        await asyncio.get_running_loop().sock_connect(link, address)
    except BaseException:
        link.close()
        raise
    return link


def tls_context(
    *, verify: bool, ca_cert: str | None, client_cert: str | None, client_key: str | None
) -> ssl.SSLContext:
    """A client's TLS settings; raises OSError (ssl.SSLError is one) when a file does not hold what it should."""
    context = ssl.create_default_context(cafile=ca_cert)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if client_cert:
        # An encrypted key would make OpenSSL ask on the terminal; an empty password makes it fail instead.
        context.load_cert_chain(client_cert, client_key, password="")
    context.set_alpn_protocols(["http/1.1"])
    return context


def trouble(error: BaseException) -> Trouble:
    """Any error of a connection in the vocabulary of :data:`CAUSES`."""
    if isinstance(error, Trouble):
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble("tls", _VERIFY.get(error.verify_code, f"the certificate is refused: {error.verify_message}"))
    if isinstance(error, ssl.SSLError):
        return Trouble("tls", _tls_words(error))
    if isinstance(error, ConnectionRefusedError):
        return Trouble("refused", "the connection was refused")
    if isinstance(error, ConnectionError):
        return Trouble("reset", "the connection was dropped")
    number = getattr(error, "errno", None)
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)) or number == errno.ETIMEDOUT:
        return Trouble("timeout", "the system gave up connecting")
    if number in _UNREACHABLE:
        return Trouble("unreachable", str(getattr(error, "strerror", "") or "unreachable").lower())
    if number in _OURS:
        return Trouble("local", str(getattr(error, "strerror", "") or "out of resources").lower())
    return Trouble("protocol", f"{type(error).__name__}: {error}")


def _tls_words(error: ssl.SSLError) -> str:
    reason = (error.reason or "").upper()
    if reason in ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return "what listens there does not speak TLS"
    if "PROTOCOL" in reason and "VERSION" in reason:
        return "no version of TLS is spoken by both sides"
    if "CERTIFICATE_REQUIRED" in reason:
        return "a client certificate is required"
    return f"the handshake fails: {reason.replace('_', ' ').lower() or type(error).__name__}"

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many endpoints at once, the samples of each one after the other, each on a new connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Optional

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web import redirects, statuses
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.client import PHASES, Route, Stopwatch, exchange
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.connection import Trouble, tls_context
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.content import judge
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.endpoint import Endpoint, basic_credentials
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.url import Url, UrlError, join
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.wire import Response, ResponseReader, request

#: Requests without any answer from the start, after which an endpoint counts as dead and is left in peace.
GIVE_UP_AFTER = 3
_TICK = 0.02


@dataclass
class Sample:
    """One request, with the redirects it followed. ``seconds`` is all of it, ``phases`` adds up to nearly that.

    ``cause`` is empty when a whole answer came, else one of connection.CAUSES. ``connected``: something took the
    connection. ``failures`` are the assertions that do not hold.
    """

    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    connected: bool = False
    status: int = 0
    size: int = 0
    oversize: bool = False
    cause: str = ""
    detail: str = ""
    failures: tuple[str, ...] = ()
    hops: tuple[str, ...] = ()
    location: str = ""
    target: str = ""
    snippet: str = ""


@dataclass
class Probe:
    """All that was learned of an endpoint; warm-up requests count only towards whether it is alive."""

    endpoint: Endpoint
    warmups: list[Sample] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    finished: bool = False

    @property
    def requests(self) -> list[Sample]:
        return [*self.warmups, *self.samples]


@dataclass
class Collected:
    """``lag`` is by how many seconds the probe itself was late at worst: times cannot be more exact than that."""

    probes: list[Probe]
    seconds: float
    lag: float


def collect(
    endpoints: Sequence[Endpoint], *, concurrency: int, budget_seconds: float, monotonic: Callable[[], float]
) -> Collected:
    """Ask all endpoints; ends within ``budget_seconds``. Raises OptionError when a certificate file cannot be used."""
    contexts = TlsContexts(endpoints)
    return asyncio.run(
        _collect(
            endpoints, contexts=contexts, concurrency=concurrency, budget_seconds=budget_seconds, monotonic=monotonic
        )
    )


#: verify, ca_cert, client_cert, client_key
TlsKey = tuple[bool, Optional[str], Optional[str], Optional[str]]


def _tls_key(endpoint: Endpoint, *, trusted: bool = True) -> TlsKey:
    if not trusted:
        return endpoint.tls_verify, endpoint.ca_cert, None, None
    return endpoint.tls_verify, endpoint.ca_cert, endpoint.client_cert, endpoint.client_key


class TlsContexts:
    """One context for each way to speak TLS, made when it is first needed: loading all authorities takes its time."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        """Make those that need files now; raises OptionError when one does not hold what it should."""
        self._made: dict[TlsKey, ssl.SSLContext] = {}
        for key in {_tls_key(endpoint) for endpoint in endpoints}:
            if any(key[1:]):
                self._made[key] = _context_of_files(key)

    def of(self, endpoint: Endpoint, *, trusted: bool) -> ssl.SSLContext:
        key = _tls_key(endpoint, trusted=trusted)
        if key not in self._made:
            self._made[key] = _context(key)
        return self._made[key]


def _context(key: TlsKey) -> ssl.SSLContext:
    verify, ca_cert, client_cert, client_key = key
    return tls_context(verify=verify, ca_cert=ca_cert, client_cert=client_cert, client_key=client_key)


def _context_of_files(key: TlsKey) -> ssl.SSLContext:
    _verify, ca_cert, client_cert, _client_key = key
    if ca_cert:
        try:
            ssl.create_default_context(cafile=ca_cert)
        except (OSError, ValueError):
            raise OptionError("ca_cert", ca_cert, "a file of certificates in PEM form") from None
    try:
        return _context(key)
    except (OSError, ValueError):
        raise OptionError(
            "client_cert", client_cert, "a certificate in PEM form that fits an unencrypted client_key"
        ) from None


async def _collect(
    endpoints: Sequence[Endpoint],
    *,
    contexts: TlsContexts,
    concurrency: int,
    budget_seconds: float,
    monotonic: Callable[[], float],
) -> Collected:
    started = monotonic()
    probes = [Probe(endpoint) for endpoint in endpoints]
    queue = iter(probes)
    lag = [0.0]
    ticker = asyncio.ensure_future(_measure_lag(lag, monotonic))
    workers = [
        asyncio.ensure_future(_work(queue, contexts, monotonic)) for _worker in range(min(concurrency, len(probes)))
    ]
    try:
        if workers:
            done, pending = await asyncio.wait(workers, timeout=budget_seconds, return_when=asyncio.FIRST_EXCEPTION)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            for task in done:
                task.result()
    finally:
        ticker.cancel()
    return Collected(probes, monotonic() - started, lag[0])


async def _measure_lag(lag: list[float], monotonic: Callable[[], float]) -> None:
    while True:
        before = monotonic()
        await asyncio.sleep(_TICK)
        lag[0] = max(lag[0], monotonic() - before - _TICK)


async def _work(queue: Iterator[Probe], contexts: TlsContexts, monotonic: Callable[[], float]) -> None:
    for probe in queue:
        await _probe(probe, contexts, monotonic)
        probe.finished = True


async def _probe(probe: Probe, contexts: TlsContexts, monotonic: Callable[[], float]) -> None:
    endpoint = probe.endpoint
    warmups, samples = (0, 1) if endpoint.refused else (endpoint.warmup, endpoint.samples)
    for number in range(warmups + samples):
        into = probe.warmups if number < warmups else probe.samples
        into.append(await take(endpoint, contexts, monotonic))
        if number + 1 >= GIVE_UP_AFTER and all(one.cause for one in probe.requests):
            return


async def take(endpoint: Endpoint, contexts: TlsContexts, monotonic: Callable[[], float]) -> Sample:
    """One sample; whatever goes wrong on the network becomes its cause."""
    watch = Stopwatch(monotonic)
    sample = Sample()
    started = monotonic()
    try:
        await asyncio.wait_for(_follow(endpoint, contexts, watch, sample), endpoint.timeout_seconds)
    except asyncio.TimeoutError:
        limit = duration(endpoint.timeout_seconds)
        sample.cause = "timeout"
        sample.detail = f"not done within {limit}; the time ran out during {PHASES.get(watch.reached, 'the start')}"
    except Trouble as trouble:
        sample.cause, sample.detail = trouble.cause, endpoint.conceal(trouble.detail)
    if sample.hops and sample.cause not in ("", "redirect"):
        # The redirect was answered, but what stands behind it, which is what was asked for, was not.
        sample.status = 0
        sample.detail = f"{sample.detail}, behind a redirect to {sample.hops[-1]}"
    sample.seconds = monotonic() - started
    sample.phases = watch.seconds
    sample.connected = watch.connected
    return sample


async def _follow(endpoint: Endpoint, contexts: TlsContexts, watch: Stopwatch, sample: Sample) -> None:
    hop = redirects.first(endpoint)
    seen: list[Url] = []
    while True:
        seen.append(hop.url)
        sample.hops = tuple(url.shown for url in seen[1:])
        reader = ResponseReader(method=hop.method, max_bytes=endpoint.max_bytes, keep_body=endpoint.content.needs_body)
        sent = _request(endpoint, hop)
        response = await exchange(hop.url, sent, reader, route=_route(endpoint, hop, contexts), watch=watch)
        sample.status, sample.size, sample.oversize = response.status, response.size, response.oversize
        sample.location, sample.target = _location(hop.url, response)
        if not _goes_on(endpoint, response):
            break
        hop = redirects.following(
            endpoint, hop, status=response.status, location=response.header("location"), seen=seen
        )
    if response.status not in endpoint.expected_status:
        sample.snippet = clean(endpoint.conceal(response.snippet), limit=200)
    sample.failures = tuple(
        endpoint.conceal(failure)
        for failure in judge(
            endpoint.content, headers=response.headers, body=bytes(response.body), whole=not response.oversize
        )
    )


def _goes_on(endpoint: Endpoint, response: Response) -> bool:
    return (
        endpoint.redirects == "follow"
        and not endpoint.refused
        and response.status in statuses.REDIRECTS
        and response.status not in endpoint.expected_status
    )


def _location(base: Url, response: Response) -> tuple[str, str]:
    """Where an answer leads, for people and for comparing; empty where it leads nowhere."""
    location = response.header("location")
    if response.status not in statuses.REDIRECTS or not location:
        return "", ""
    try:
        url = join(base, location)
    except UrlError:
        return "what is no http:// or https:// URL", ""
    return url.shown, f"{url.scheme}://{url.authority}{url.target}"


def _request(endpoint: Endpoint, hop: redirects.Hop) -> bytes:
    return request(
        method=hop.method,
        url=hop.url,
        headers=endpoint.headers if hop.trusted else (),
        body=endpoint.body if hop.method == "POST" else None,
        credentials=basic_credentials(endpoint) if hop.trusted else "",
    )


def _route(endpoint: Endpoint, hop: redirects.Hop, contexts: TlsContexts) -> Route:
    at_home = hop.url.host == endpoint.url.host
    connect_to = endpoint.connect_to if at_home else None
    if connect_to and hop.url.port != endpoint.url.port:
        connect_to = (connect_to[0], 0)
    return Route(
        ip_version=endpoint.ip_version,
        connect_to=connect_to,
        sni=endpoint.sni if at_home else None,
        context=contexts.of(endpoint, trusted=hop.trusted) if hop.url.scheme == "https" else None,
        # The time limit of the whole request comes first; asyncio wants a finite one of its own.
        handshake_seconds=endpoint.timeout_seconds + 1,
    )

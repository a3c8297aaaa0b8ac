# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One question to an application: does it answer? A probe reads and never changes anything of its own.

An answer is ``good``, ``bad`` (a restart may help), or ``blind``: the question could not be put, or a restart would not
change the answer, so that nothing may be concluded from it.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Union
from urllib.parse import urlsplit

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import processes, systemd
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.expect import ProcessWanted

USER_AGENT = "fleetcare-maintenance"


@dataclass(frozen=True)
class Outcome:
    """The answer to one probe; ``seconds`` is how long it took."""

    verdict: str
    said: str
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return self.verdict == "good"


@dataclass(frozen=True)
class UrlProbe:
    """An HTTP or HTTPS address that has to answer a GET with one of some statuses; redirects are not followed."""

    url: str
    statuses: tuple[tuple[int, int], ...]
    validate_certs: bool = True
    ca_cert: str | None = None

    @property
    def label(self) -> str:
        """The address without its query, which may hold a token."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"


@dataclass(frozen=True)
class PortProbe:
    """A TCP port that has to accept a connection."""

    host: str
    port: int

    @property
    def label(self) -> str:
        return f"tcp {f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True)
class CommandProbe:
    """A program that has to end with status 0. Its arguments are not shown, for they may hold a secret."""

    argv: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"command {os.path.basename(self.argv[0])}"


@dataclass(frozen=True)
class ProcessProbe:
    """A process that has to be there."""

    wanted: ProcessWanted

    @property
    def label(self) -> str:
        return f"process {self.wanted.label}"


@dataclass(frozen=True)
class UnitProbe:
    """A unit that has to be active."""

    name: str

    @property
    def label(self) -> str:
        return self.name


Probe = Union[UrlProbe, PortProbe, CommandProbe, ProcessProbe, UnitProbe]


def ask(probe: Probe, *, timeout: float, clock: Clock | None = None) -> Outcome:
    """Put the question, and wait no longer than ``timeout`` seconds for the answer."""
    clock = clock or Clock()
    started = clock.monotonic()
    outcome = _put(probe, timeout)
    return Outcome(outcome.verdict, clean(outcome.said), round(clock.monotonic() - started, 3))


def _put(probe: Probe, timeout: float) -> Outcome:
    if isinstance(probe, UrlProbe):
        return _within(timeout, lambda resolved: _ask_url(probe, timeout, resolved))
    if isinstance(probe, PortProbe):
        return _within(timeout, lambda resolved: _ask_port(probe, timeout, resolved))
    if isinstance(probe, CommandProbe):
        return _ask_command(probe, timeout)
    return _ask_process(probe) if isinstance(probe, ProcessProbe) else _ask_unit(probe)


def _within(timeout: float, work: Callable[[threading.Event], Outcome]) -> Outcome:
    """Run ``work`` in a thread of its own, so that neither a name server nor a peer that drips bytes can hold us up."""
    resolved = threading.Event()
    answers: list[Outcome] = []
    thread = threading.Thread(target=lambda: answers.append(_explained(work, resolved, timeout)), daemon=True)
    thread.start()
    thread.join(timeout)
    if answers:
        return answers[0]
    if not thread.is_alive():
        # A fault of the probe says nothing about the application.
        return Outcome("blind", "the probe itself failed")
    if not resolved.is_set():
        return Outcome("blind", f"the host name was not resolved within {timeout:g} s")
    return Outcome("bad", _late(timeout))


def _late(timeout: float) -> str:
    return f"no answer within {timeout:g} s"


def _explained(work: Callable[[threading.Event], Outcome], resolved: threading.Event, timeout: float) -> Outcome:
    try:
        return work(resolved)
    except socket.gaierror as error:
        return Outcome("blind", f"the host name cannot be resolved ({error.strerror})")
    except ssl.SSLCertVerificationError as error:
        return Outcome(
            "blind", f"the certificate is not trusted ({error.verify_message}); a restart does not change that"
        )
    except (ConnectionError, http.client.HTTPException, ssl.SSLError) as error:
        return Outcome("bad", _worded(error))
    # Two classes until Python 3.10.
    except (TimeoutError, socket.timeout):
        return Outcome("bad", _late(timeout))
    except OSError as error:
        return Outcome("blind", f"it could not be asked ({_worded(error)})")


def _worded(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, http.client.RemoteDisconnected):
        return "connection closed without an answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__


def _ask_url(probe: UrlProbe, timeout: float, resolved: threading.Event) -> Outcome:
    parts = urlsplit(probe.url)
    host = parts.hostname or ""
    socket.getaddrinfo(host, None)
    resolved.set()
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        trust = _trust(probe)
        if isinstance(trust, Outcome):
            return trust
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=trust)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"})
        status = connection.getresponse().status
    finally:
        connection.close()
    if any(low <= status <= high for low, high in probe.statuses):
        return Outcome("good", f"HTTP status {status}")
    if 400 <= status <= 499 and status not in (408, 429):
        # Whoever refuses a request is alive.
        return Outcome(
            "blind", f"HTTP status {status}: it answers but refuses the probe; a restart does not change that"
        )
    return Outcome("bad", f"HTTP status {status}")


def _trust(probe: UrlProbe) -> ssl.SSLContext | Outcome:
    try:
        context = ssl.create_default_context(cafile=probe.ca_cert)
    except OSError as error:
        return Outcome("blind", f"the certificates in {probe.ca_cert} cannot be read ({_worded(error)})")
    if not probe.validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _ask_port(probe: PortProbe, timeout: float, resolved: threading.Event) -> Outcome:
    socket.getaddrinfo(probe.host, probe.port, type=socket.SOCK_STREAM)
    resolved.set()
    with socket.create_connection((probe.host, probe.port), timeout=timeout):
        return Outcome("good", "a connection was accepted")


def _ask_command(probe: CommandProbe, timeout: float) -> Outcome:
    try:
        done = command.run(probe.argv, timeout=timeout)
    except command.CommandUnfinished as error:
        return Outcome("bad", str(error))
    except MaintenanceError as error:
        return Outcome("blind", str(error))
    except OSError as error:
        return Outcome("blind", f"{probe.label} cannot be run ({_worded(error)})")
    if done.rc == 0:
        return Outcome("good", "exit status 0")
    return Outcome("bad", f"exit status {done.rc}: {done.first_error()}")


def _ask_process(probe: ProcessProbe) -> Outcome:
    table = processes.snapshot()
    amount = sum(1 for process in table.all if probe.wanted.fits(process))
    if amount:
        return Outcome("good", counted(amount, "process", "processes"))
    if not table.complete:
        return Outcome("blind", "the kernel hides other users' processes here (hidepid)")
    return Outcome("bad", "no such process")


def _ask_unit(probe: UnitProbe) -> Outcome:
    try:
        units = systemd.show([probe.name])
    except systemd.SystemdError as error:
        return Outcome("blind", str(error))
    unit = next((unit for unit in units if unit.answers_to_exactly(probe.name)), None)
    if unit is None or not unit.exists:
        return Outcome("blind", "there is no such unit on this host")
    return Outcome("good" if unit.active in ("active", "reloading") else "bad", unit.state())

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers on the loopback, well-behaved and not, each in a thread of its own."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Handler = Callable[["Exchange"], None]


def answer(body: bytes = b"fine", *, status: str = "200 OK", fields: tuple[str, ...] = ()) -> bytes:
    """A whole answer with its length."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


@dataclass
class Exchange:
    """One connection: what was asked, how many came before it, and a way to answer."""

    link: socket.socket
    request: bytes
    number: int
    over: threading.Event

    @property
    def path(self) -> str:
        return self.request.split(b" ")[1].decode()

    def send(self, data: bytes) -> None:
        self.link.sendall(data)

    def hang(self) -> None:
        """Say nothing until the test is over."""
        self.over.wait(30)


@dataclass
class Server:
    """Takes connections until it is closed; ``requests`` is what it was asked."""

    handler: Handler
    address: str = "127.0.0.1"
    context: ssl.SSLContext | None = None
    reads: bool = True
    requests: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listener = socket.create_server((self.address, 0), family=family, backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._number = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def url(self, path: str = "/", *, host: str = "", scheme: str = "") -> str:
        shown = host or (f"[{self.address}]" if ":" in self.address else self.address)
        return f"{scheme or ('https' if self.context else 'http')}://{shown}:{self.port}{path}"

    def _accept(self) -> None:
        while True:
            try:
                link, _peer = self._listener.accept()
            except OSError:
                return
            if self._over.is_set():
                link.close()
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(link.close)
            if self.context is not None:
                link = stack.enter_context(self.context.wrap_socket(link, server_side=True))
            request = b""
            while self.reads and b"\r\n\r\n" not in request:
                piece = link.recv(65536)
                if not piece:
                    return
                request += piece
            with self._lock:
                number, self._number = self._number, self._number + 1
                self.requests.append(request)
            self.handler(Exchange(link, request, number, self._over))

    def close(self) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextlib.contextmanager
def serving(handler: Handler | bytes, **options: Any) -> Iterator[Server]:
    """A server for the length of a block; bytes are the answer to everything."""

    def fixed(exchange: Exchange) -> None:
        exchange.send(handler)  # type: ignore[arg-type]

    server = Server(fixed if isinstance(handler, bytes) else handler, **options)
    try:
        yield server
    finally:
        server.close()


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Authority:
    """A certificate authority of the test's own, and what it issued, as PEM files in a folder."""

    folder: Path

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.certificate = self._build(self._name, self._key.public_key(), issuer=self._name, ca=True).sign(
            self._key, hashes.SHA256()
        )
        self.file = self.folder / "ca.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _build(
        self,
        name: x509.Name,
        key: Any,
        *,
        issuer: x509.Name,
        ca: bool = False,
        names: tuple[str, ...] = (),
        days: tuple[int, int] = (-1, 30),
    ) -> Any:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key if name == issuer else self._key.public_key()),
                critical=False,
            )
        )
        if ca:
            usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        if names:
            alternative = [
                x509.IPAddress(ipaddress.ip_address(one)) if one[0].isdigit() else x509.DNSName(one) for one in names
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        return builder

    def issue(self, *names: str, days: tuple[int, int] = (-1, 30), own: bool = False) -> Path:
        """A key and its certificate in one file; ``own`` signs it with its own key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        issuer = subject if own else self._name
        builder = self._build(subject, key.public_key(), issuer=issuer, names=names, days=days)
        certificate = builder.sign(key if own else self._key, hashes.SHA256())
        path = self.folder / f"{certificate.serial_number:x}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        return path

    def context(self, chain: Path, *, clients: bool = False) -> ssl.SSLContext:
        """A server's side of TLS; ``clients`` asks for client certificates."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        if clients:
            context.load_verify_locations(self.file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

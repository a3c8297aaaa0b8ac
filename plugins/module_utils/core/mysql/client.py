# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to a MySQL or MariaDB server: connection, limits, and what errors mean.

Whoever looks at such a server, be it for its tables or for its log, comes this way. The driver is PyMySQL from 0.9 on,
which is asked for when a connection is opened and not before.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, Optional

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.deps import DependencyError, require
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError, MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.login import Login
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, duration

APPLICATION = "fleetcare.maintenance"
PACKAGE = "python3-pymysql, or PyMySQL by pip"
#: Numbers of errors (MySQL and MariaDB manuals, "Server Error Message Reference", "Client Error Message Reference").
_DENIED = frozenset({1044, 1142, 1143, 1227})
_MISSING = frozenset({1109, 1146, 1193})
_UNWELCOME = frozenset({1045, 1130, 1251, 1698, 1862, 3118, 3159})
_CROWDED = frozenset({1040, 1203})
_CANNOT_CONNECT = frozenset({2002, 2003, 2005})
_LOST = frozenset({0, 2006, 2013, 2055})
_NO_TLS = 2026

Row = tuple[Optional[str], ...]


class QueryError(MaintenanceError):
    """The server refused a statement: ``number`` is its error number."""

    def __init__(self, message: str, *, number: int = 0) -> None:
        super().__init__(message)
        self.number = number

    @property
    def is_denied(self) -> bool:
        """Whether a privilege is missing; of a table without any it is not told whether it is there."""
        return self.number in _DENIED

    @property
    def is_missing(self) -> bool:
        """Whether there is no such table or variable."""
        return self.number in _MISSING


class Session:
    """An open connection. ``version`` is the server's own text, such as ``9.7.0`` or ``11.8.2-MariaDB``."""

    def __init__(self, connection: Any, *, login: Login) -> None:
        self.connection = connection
        self.login = login
        # MariaDB calls itself 5.5.5 first, for clients that would not believe its own number.
        self.version = clean(str(connection.get_server_info()).replace("5.5.5-", "", 1), limit=80)

    @property
    def is_mariadb(self) -> bool:
        return "mariadb" in self.version.lower()

    @property
    def product(self) -> str:
        """Name and version for people."""
        number = self.version.partition("-")[0]
        return f"{'MariaDB' if self.is_mariadb else 'MySQL'} {number}"

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[Row]:
        """All rows of a query, every value as its text. Raises QueryError, and ConnectError for a lost connection."""
        limit = self.login.statement_timeout
        with _told(self.login), _watched(self.connection, self.login, limit), self.connection.cursor() as cursor:
            cursor.execute(query, tuple(parameters) or None)
            found = cursor.fetchall()
        # What a server logs is not UTF-8 because a column says so.
        return [tuple(_text(value) for value in row) for row in found]

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> None:
        """Carry out a statement of which no rows are wanted. Raises as ``rows`` does."""
        self.rows(statement, parameters)

    def close(self) -> None:
        with suppress(OSError, driver().Error):
            self.connection.close()


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@lru_cache(maxsize=1)
def driver() -> Any:
    """The pymysql module. Raises DependencyError."""
    return require("pymysql", package=PACKAGE, minimum="0.9")


@contextmanager
def connect(login: Login) -> Iterator[Session]:
    """A session that is closed at the end. Raises ConnectError, DependencyError."""
    session = open_session(login)
    try:
        yield session
    finally:
        session.close()


def open_session(login: Login, *, read_only: bool = True) -> Session:
    """Connect; times come in UTC, and no statement runs longer than ``statement_timeout``. Raises ConnectError."""
    pymysql = driver()
    with _told(login):
        connection = _secured(pymysql, login)(
            host=login.host or "localhost",
            unix_socket=login.socket or None,
            port=login.port,
            user=login.user,
            password=login.password,
            charset="utf8mb4",
            use_unicode=False,
            # Values stay the bytes that came; what goes out is quoted by the driver.
            conv=dict(pymysql.converters.encoders),
            connect_timeout=login.connect_timeout,
            read_timeout=login.statement_timeout + 1,
            write_timeout=login.statement_timeout + 1,
            autocommit=True,
            program_name=APPLICATION,
            auth_plugin_map={} if _is_private(login) else {"mysql_clear_password": _NoPlainPassword},
            defer_connect=True,
        )
        with _watched(connection, login, login.connect_timeout):
            connection.connect()
    session = Session(connection, login=login)
    try:
        session.execute("SET SESSION time_zone = '+00:00'")
        if read_only:
            session.execute("SET SESSION TRANSACTION READ ONLY")
        _limit(session, login.statement_timeout)
    except MaintenanceError:
        session.close()
        raise
    return session


def _limit(session: Session, seconds: float) -> None:
    """Let the server itself end what takes too long, as far as it can: MySQL 5.7.8, MariaDB 10.1."""
    try:
        if session.is_mariadb:
            session.execute("SET SESSION max_statement_time = %s", [seconds])
        else:
            session.execute("SET SESSION max_execution_time = %s", [int(seconds * 1000)])
    except QueryError as error:
        if not error.is_missing:
            raise


def _is_private(login: Login) -> bool:
    """Whether it is known who is at the other end, and nobody listens."""
    return bool(login.socket or login.ca_cert)


class _NoPlainPassword:
    """Whoever answers may ask for the password itself; it is for a server that has proved who it is."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def authenticate(self, packet: object) -> object:
        raise driver().OperationalError(_NO_TLS, "it asks for the password in plain text, which takes ca_cert")


def _secured(pymysql: Any, login: Login) -> Any:
    """The driver's connection, with one rule for TLS in all its versions.

    By TCP it is used where the server offers it, and with ``ca_cert`` nothing is said to a server that does not.
    """
    offers_tls = pymysql.constants.CLIENT.SSL
    context = None if login.socket else _tls(login)

    class Connection(pymysql.connections.Connection):  # type: ignore[misc]
        def _request_authentication(self) -> None:
            offered = bool(self.server_capabilities & offers_tls)
            if login.ca_cert and context and not offered:
                raise pymysql.OperationalError(_NO_TLS, "it offers no TLS, which ca_cert asks for")
            self.ssl = bool(context and offered)
            self.ctx = context
            flags: int = vars(self)["client_flag"]
            self.client_flag = flags | offers_tls if self.ssl else flags & ~offers_tls
            super()._request_authentication()

    return Connection


def _tls(login: Login) -> Any:
    import ssl

    try:
        context = ssl.create_default_context(cafile=login.ca_cert or None)
        # What a server makes for itself does not pass this, which Python asks for since 3.13.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        context.check_hostname = bool(login.ca_cert and login.check_hostname)
        context.verify_mode = ssl.CERT_REQUIRED if login.ca_cert else ssl.CERT_NONE
        if login.client_cert:
            context.load_cert_chain(login.client_cert, login.client_key or None)
    except (OSError, ValueError) as error:
        raise MaintenanceError(f"The certificates for MySQL at {login.place} cannot be used: {clean(error)}.") from None
    return context


@contextmanager
def _watched(connection: Any, login: Login, seconds: float) -> Iterator[None]:
    """End the connection once the time is up: whoever sends a byte now and then passes every other limit."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        held = getattr(connection, "_sock", None)
        if held is not None:
            with suppress(OSError):
                socket.socket.shutdown(held, socket.SHUT_RDWR)

    # The server's own limit comes first, where it has one.
    timer = threading.Timer(seconds + 0.5, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if late.is_set():
            raise ConnectError(
                f"MySQL at {login.place} did not answer within {duration(seconds)}.", refused=True
            ) from error
        raise
    finally:
        timer.cancel()


@contextmanager
def _told(login: Login) -> Iterator[None]:
    """Whatever the driver meets becomes a sentence; a broken answer makes it fail in many ways."""
    try:
        yield
    except MaintenanceError:
        raise
    except Exception as error:  # noqa: BLE001
        raise _translated(error, login) from None


def _translated(error: Exception, login: Login) -> MaintenanceError:
    pymysql = driver()
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    words = _words(error, login)
    where = f"MySQL at {login.place}"
    if "cryptography" in words and not isinstance(error, pymysql.Error):
        return DependencyError(
            f"{where} wants a proof that the driver needs the Python library 'cryptography' for.",
            remedy="Install it with the package manager (python3-cryptography), or let the server offer TLS.",
        )
    if _is_of_tls(error):
        remedy = "Set ca_cert to the authority that signed its certificate, and login_host to a name that is in it."
        return ConnectError(f"{where} does not prove who it is: {words}.", remedy=remedy, unwelcome=True)
    if number in _CANNOT_CONNECT:
        remedy = "See that the server runs and listens there (systemctl status mysql, ss -ltnx)."
        return ConnectError(f"{where} cannot be reached: {words}.", remedy=remedy, refused=True)
    if number in _UNWELCOME:
        remedy = "Set login_user and login_password, or let the account log in by the socket (auth_socket)."
        return ConnectError(f"{where} refuses the login: {words}.", remedy=remedy, unwelcome=True)
    if number in _CROWDED:
        return ConnectError(f"{where} has no connection to spare: {words}.", crowded=True)
    if number == _NO_TLS:
        return ConnectError(f"{where} is not talked to: {words}.", unwelcome=True)
    if number in _LOST or not isinstance(error, pymysql.Error):
        return ConnectError(f"The connection to {where} was lost: {words}.", refused=True)
    return QueryError(f"{where} refused a statement: {words}.", number=number)


def _is_of_tls(error: Exception) -> bool:
    import ssl

    return isinstance(getattr(error, "original_exception", None) or error, ssl.SSLError)


def _words(error: Exception, login: Login) -> str:
    cause = getattr(error, "original_exception", None) or error
    said = getattr(cause, "strerror", None) or (cause.args[-1] if cause.args else "") or type(cause).__name__
    text = re.sub(r"\[SSL: \w+\] | \(_ssl\.c:\d+\)", "", str(said)).replace(
        " (using password: YES)", " with a password"
    )
    text = text.replace(" (using password: NO)", " without a password")
    if login.password:
        text = text.replace(login.password, "***")
    return clean(text).rstrip(".")

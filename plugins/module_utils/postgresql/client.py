# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to a PostgreSQL server: options, connection, limits, and what errors mean."""

from __future__ import annotations

import json
import os
import pwd
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import require_between
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.deps import require
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import (
    ConnectError,
    MaintenanceError,
    OptionError,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.encoding import read_leniently
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.silence import limited, patiently

APPLICATION = "fleetcare.maintenance"
PACKAGE = "python3-psycopg, or psycopg by pip"
#: The effective user is one for all threads.
_IDENTITY = threading.Lock()
#: All rows of a query as one value. The order of a query in FROM is that of the aggregate above it.
_BUNDLE = "SELECT coalesce(json_agg(one), '[]')::text AS rows FROM ({}) one"
#: The first statement of a session, and until it has set the path the owner of the database says what names mean.
_SET = (
    "SELECT pg_catalog.set_config(name, value, false) "
    "FROM ROWS FROM (pg_catalog.unnest(%s::pg_catalog.text[]), pg_catalog.unnest(%s::pg_catalog.text[]))"
    " AS given (name, value)"
)
#: Who may create a function in a schema that is searched would otherwise have it called with the rights of whoever
#: asks here, often a superuser's (PostgreSQL manual, 5.10.6; CVE-2018-1058).
_PATH = "pg_catalog, pg_temp"
SSL_MODES = ["allow", "disable", "prefer", "require", "verify-ca", "verify-full"]

#: Options of every module that talks to PostgreSQL; the documentation fragment ``postgresql`` describes them.
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "login_host": {"type": "str"},
    "login_unix_socket": {"type": "path"},
    "login_port": {"type": "int", "default": 5432},
    "login_user": {"type": "str"},
    "login_password": {"type": "str", "no_log": True},
    "login_db": {"type": "str", "default": "postgres"},
    "ssl_mode": {"type": "str", "default": "prefer", "choices": SSL_MODES},
    "ca_cert": {"type": "path", "aliases": ["ssl_rootcert"]},
    "ssl_cert": {"type": "path"},
    "ssl_key": {"type": "path"},
    "peer_user": {"type": "str", "default": "postgres"},
    "connect_timeout": {"type": "int", "default": 10},
    "statement_timeout": {"type": "float", "default": 30.0},
}
#: Least and largest value of every figure, and what it should be in words.
_LIMITS: Mapping[str, tuple[float, float, str]] = {
    "login_port": (1, 65535, "a port from 1 to 65535"),
    "connect_timeout": (1, 3600, "seconds from 1 to 3600"),
    "statement_timeout": (0.1, 86400, "seconds from 0.1 to 86400"),
}


class QueryError(MaintenanceError):
    """The server refused a statement: ``state`` is its SQLSTATE (PostgreSQL manual, appendix A)."""

    def __init__(self, message: str, *, state: str = "", remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.state = state

    @property
    def is_denied(self) -> bool:
        """Whether a privilege is missing."""
        return self.state == "42501"

    @property
    def is_locked(self) -> bool:
        """Whether somebody else holds the lock (lock_timeout passed, or NOWAIT)."""
        return self.state == "55P03"

    @property
    def is_late(self) -> bool:
        """Whether the statement was cancelled, by its own time limit or by somebody."""
        return self.state == "57014"


@dataclass(frozen=True)
class Login:
    """Where and as whom to connect; what is None is left to libpq (PGPASSFILE, PGSSLROOTCERT, ...)."""

    host: str | None
    port: int
    user: str | None
    password: str | None
    database: str
    ssl_mode: str
    ca_cert: str | None
    ssl_cert: str | None
    ssl_key: str | None
    peer_user: str
    connect_timeout: int
    statement_timeout: float

    @property
    def place(self) -> str:
        """The server's name in findings: ``db1:5432``, ``localhost:5432`` over the socket."""
        host = self.host or ""
        name = "localhost" if not host or host.startswith("/") else host
        return f"[{name}]:{self.port}" if ":" in name else f"{name}:{self.port}"

    @property
    def over_socket(self) -> bool:
        return not self.host or self.host.startswith("/")


def read_login(params: Mapping[str, Any]) -> Login:
    """The connection options of a module, each refused in one sentence where it makes no sense. Raises OptionError."""
    host, socket = params["login_host"] or None, params["login_unix_socket"] or None
    if host and socket:
        raise OptionError("login_unix_socket", socket, "left out where login_host is given: a connection takes one way")
    for option, (least, most, expected) in _LIMITS.items():
        require_between(params[option], least, most, option=option, expected=expected)
    for option in ("ca_cert", "ssl_cert", "ssl_key"):
        path = params[option]
        if path and ("\0" in path or not os.access(path, os.R_OK)):
            raise OptionError(option, path, "a file on this host that this user can read")
    return Login(
        host=host or socket,
        port=params["login_port"],
        user=params["login_user"] or None,
        password=params["login_password"] or None,
        database=params["login_db"],
        ssl_mode=params["ssl_mode"],
        ca_cert=params["ca_cert"] or None,
        ssl_cert=params["ssl_cert"] or None,
        ssl_key=params["ssl_key"] or None,
        peer_user=params["peer_user"],
        connect_timeout=params["connect_timeout"],
        statement_timeout=params["statement_timeout"],
    )


class Session:
    """One connection in autocommit; rows come as mappings. Every error is a ConnectError or a QueryError."""

    def __init__(self, connection: Any, *, login: Login, database: str) -> None:
        self.connection = connection
        self.login = login
        self.database = database
        self.patience = login.statement_timeout

    def rows(self, query: Any, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """All rows of a query; ``%`` is doubled in the text only where there are parameters."""
        with self._told():
            cursor = self.connection.execute(query, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def row(self, query: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> dict[str, Any]:
        """The one row of a query that always has one."""
        return self.rows(query, parameters)[0]

    def many(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows of a query that may have thousands, in the types of JSON: a time is asked for in seconds.

        psycopg without its C part, as Debian installs it, fetches each value of each row by a call of its own, which
        takes longer than the server needs for the query; this way there is one value.
        """
        sql = driver().sql
        (bundle,) = self.rows(sql.SQL(_BUNDLE).format(sql.SQL(query)), parameters)
        rows: list[dict[str, Any]] = json.loads(bundle["rows"])
        return rows

    def execute(self, statement: Any, parameters: Sequence[Any] | None = None, *, single: bool = False) -> None:
        """Carry out a statement; one with names in it is put together by ``psycopg.sql``.

        ``single``: a text of the user's became a part of it. Whatever that holds, the server refuses more than one
        statement, and finds the names in it where it does in every other session of this login.
        """
        if not single:
            with self._told():
                self.connection.execute(statement, parameters)
            return
        self.execute("SET search_path TO DEFAULT")
        try:
            with self._told():
                # Results in binary form are had by the extended protocol alone, which takes one statement at a time.
                self.connection.execute(statement, parameters, binary=True)
        finally:
            states = driver().pq.TransactionStatus
            # In a transaction that has failed the end of it sets the path back.
            if self.connection.info.transaction_status in (states.IDLE, states.INTRANS):
                self.set(search_path=_PATH)

    def set(self, **settings: str | int | float) -> None:
        """Set session variables: ``set(lock_timeout=2.0)``; times are seconds."""
        if "statement_timeout" in settings:
            self.patience = float(settings["statement_timeout"])
        worded = [f"{round(value * 1000)}ms" if isinstance(value, float) else str(value) for value in settings.values()]
        self.rows(_SET, (list(settings), worded))

    @property
    def broken(self) -> bool:
        """Whether the connection is gone."""
        return bool(self.connection.closed or self.connection.broken)

    def cancel(self) -> None:
        """Ask the server to stop what is going on here; safe from another thread.

        It is asked over a connection of its own, to which a server that has stopped answering says nothing either.
        """
        patiently(self.connection.cancel)

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        psycopg = driver()
        with limited(self.connection, self.patience, errors=psycopg.Error) as call:
            try:
                yield
            except psycopg.Error as error:
                raise self._named(error, hung_up=call.hung_up) from None

    def _named(self, error: Any, *, hung_up: bool) -> MaintenanceError:
        """What the driver raised, in words of ours."""
        if hung_up:
            return ConnectError(
                f"PostgreSQL at {self.login.place} holds the connection and does not answer.",
                remedy="See whether its processes are stopped and its disk gives anything back (ps, dmesg).",
                refused=True,
            )
        if self.broken:
            return ConnectError(
                f"The connection to PostgreSQL at {self.login.place} was lost: {_first_line(error, self.login)}.",
                refused=True,
            )
        return QueryError(
            f"PostgreSQL at {self.login.place} refused a statement: {_first_line(error, self.login)}.",
            state=error.sqlstate or "",
        )


@lru_cache(maxsize=1)
def driver() -> Any:
    """The psycopg module. Raises DependencyError."""
    return require("psycopg", package=PACKAGE, minimum="3.1")


@contextmanager
def connect(login: Login, *, database: str = "", read_only: bool = False) -> Iterator[Session]:
    """A session that is closed at the end. Raises ConnectError."""
    session = open_session(login, database=database, read_only=read_only)
    try:
        yield session
    finally:
        session.close()


def open_session(login: Login, *, database: str = "", read_only: bool = False) -> Session:
    """Connect, as ``peer_user`` where root takes the socket and no user is named. Raises ConnectError.

    Until ``set`` says otherwise no statement of it runs longer than ``statement_timeout``, nor waits for a lock
    for more than a second.
    """
    psycopg = driver()
    name = database or login.database
    given = {
        "host": login.host,
        "port": login.port,
        "user": login.user,
        "password": login.password,
        "dbname": name,
        "sslmode": login.ssl_mode,
        "sslrootcert": login.ca_cert,
        "sslcert": login.ssl_cert,
        "sslkey": login.ssl_key,
        "connect_timeout": login.connect_timeout,
        "application_name": APPLICATION,
        # Of a database that knows no encoding (SQL_ASCII) the driver would return bytes.
        "client_encoding": "UTF8",
    }
    try:
        with _acting_as(login):
            connection = psycopg.connect(
                **{key: value for key, value in given.items() if value is not None},
                autocommit=True,
                row_factory=psycopg.rows.dict_row,
                # A pooler in between hands the next statement to a session that has not prepared it.
                prepare_threshold=None,
            )
    except psycopg.Error as error:
        raise _unreachable(error, login, database=name) from None
    read_leniently(connection, loader=psycopg.adapt.Loader)
    session = Session(connection, login=login, database=name)
    session.set(
        search_path=_PATH,
        statement_timeout=login.statement_timeout,
        lock_timeout=1.0,
        idle_in_transaction_session_timeout=60.0,
        **({"default_transaction_read_only": "on"} if read_only else {}),
    )
    return session


@contextmanager
def as_ourselves() -> Iterator[None]:
    """Nobody connects as another user meanwhile: that user is every thread's, and has not our rights on files."""
    with _IDENTITY:
        yield


@contextmanager
def _acting_as(login: Login) -> Iterator[None]:
    """Peer authentication goes by the effective user at the moment of connecting (SO_PEERCRED, man 7 unix)."""
    with _IDENTITY:
        if os.geteuid() != 0 or not login.over_socket or login.user or not login.peer_user:
            yield
            return
        try:
            uid = pwd.getpwnam(login.peer_user).pw_uid
        except KeyError:
            raise OptionError(
                "peer_user", login.peer_user, "a user of this host, or empty to connect as root, or name login_user"
            ) from None
        os.seteuid(uid)
        try:
            yield
        finally:
            os.seteuid(0)


def _first_line(error: Exception, login: Login) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    words = clean(lines[0] if lines else type(error).__name__).rstrip(".")
    return words.replace(login.password, "***") if login.password else words


def _unreachable(error: Exception, login: Login, *, database: str) -> ConnectError:
    text = str(error)
    refused = not getattr(error, "sqlstate", None) and "FATAL:" not in text
    words = _last_cause(text, login)
    user = f" as {login.user}" if login.user else ""
    remedy = ""
    proof = "authentication failed" in text or "no password supplied" in text
    if proof:
        remedy = "Set login_user and login_password, or let pg_hba.conf admit this user in the way it comes."
    elif "pg_hba.conf" in text:
        remedy = "Add a line for this user, address and database to pg_hba.conf and reload the server."
    elif "does not exist" in text:
        remedy = "Set login_db to a database that is there, and login_user to a role that is."
    elif "SSL" in text or "certificate" in text:
        remedy = "Set ssl_mode to what the server offers, and ca_cert to the authority that signed its certificate."
    elif refused:
        remedy = "See that the server runs and listens there (pg_lsclusters, journalctl -u postgresql@*)."
    return ConnectError(
        f"PostgreSQL at {login.place}, database {clean(database)}{user}: {words}.",
        remedy=remedy,
        refused=refused,
        crowded="connection slots" in text or "too many c" in text,
        unwelcome=proof or "pg_hba.conf" in text or bool(re.search(r'role ".*" does not exist', text)),
    )


def _last_cause(text: str, login: Login) -> str:
    """The part of libpq's message that tells the cause: it repeats the address, and names both ways it tried TLS."""
    lines = [clean(line).strip() for line in text.splitlines() if line.strip()]
    first = lines[0] if lines else "no reason given"
    words = first.split("failed: ", 1)[-1].replace("FATAL:  ", "").replace("FATAL: ", "").rstrip(".")
    return words.replace(login.password, "***") if login.password else words


def denied(error: QueryError, *, grant: str) -> Absent:
    """What a missing privilege hides, with the statement that would grant it."""
    return Absent(f"not allowed: {error.message}", remedy=grant)

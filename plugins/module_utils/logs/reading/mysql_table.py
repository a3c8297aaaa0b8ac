# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The error log of a MySQL server as the table ``performance_schema.error_log`` has it, and what the server says of it.

Source: MySQL manual, "The error_log Table", "Error Log Configuration".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.client import (
    QueryError,
    Row,
    Session,
    open_session,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.login import Login
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean

#: The first time that a column of this type can hold, and a later one than it can: the year 3001.
FIRST, LAST = 1_000_000, 32_536_771_200_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ELSEWHERE = "Name its file in files, or its container in containers."

_SELECT = "SELECT LOGGED, THREAD_ID, PRIO, ERROR_CODE, SUBSYSTEM, DATA FROM performance_schema.error_log "
_PAGE = _SELECT + "WHERE LOGGED >= %s ORDER BY LOGGED LIMIT %s"
_NEWEST = _SELECT + "ORDER BY LOGGED DESC LIMIT %s"
_OFFSET = "SELECT LOGGED FROM performance_schema.error_log ORDER BY LOGGED DESC LIMIT 1 OFFSET %s"
_FACTS = (
    "SELECT @@GLOBAL.performance_schema, @@GLOBAL.server_uuid, @@GLOBAL.log_error, @@GLOBAL.log_error_services, "
    "@@GLOBAL.log_error_verbosity, @@GLOBAL.log_error_suppression_list, UNIX_TIMESTAMP(NOW(6))"
)
_STATUS = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime', 'Error_log_latest_write')"


class Entry(NamedTuple):
    """A row of the table; ``stamp`` is in microseconds since 1970, UTC."""

    stamp: int
    thread: str
    level: str
    code: str
    part: str
    text: str

    @property
    def id(self) -> str:
        """What stays the same when the server fills the table anew; the text need not."""
        return f"{self.stamp} {self.code} {self.thread}"

    def line(self) -> bytes:
        """The entry as the server writes it into its file, where a message has no line break."""
        text = self.text
        if text.startswith("{"):
            # The sink of JSON puts all it knows into the text.
            try:
                known = json.loads(text)
            except (ValueError, RecursionError):
                known = None
            text = str(known["msg"]) if isinstance(known, dict) and "msg" in known else text
        level = "ERROR" if self.level == "Error" else self.level
        code = f"[{self.code}] " if self.code else ""
        part = f"[{self.part}] " if self.part else ""
        whole = f"{_at(self.stamp):%Y-%m-%dT%H:%M:%S.%f}Z {self.thread or 0} [{level}] {code}{part}{text}"
        return " ".join(whole.splitlines()).encode("utf-8", "replace") + b"\n"


@dataclass(frozen=True)
class Facts:
    """What a server says of its log: where it goes, through what, since when, by the server's own clock."""

    server: str
    destination: str
    services: tuple[str, ...]
    verbosity: int
    suppressed: str
    now: int
    started: int
    latest: int


class ServerTable:
    """The table of a real server."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def page(self, since: int, most: int) -> list[Entry]:
        with _understood(self.session):
            return _entries(self.session.rows(_PAGE, [worded(since, "%H:%M:%S.%f"), most]))

    def newest(self, most: int) -> list[Entry]:
        with _understood(self.session):
            return _entries(self.session.rows(_NEWEST, [most]))[::-1]

    def begin_of_last(self, entries: int) -> int:
        found = self.session.rows(_OFFSET, [entries - 1])
        with _understood(self.session):
            return _micros(str(found[0][0])) if found else FIRST

    def close(self) -> None:
        self.session.close()


@contextmanager
def _understood(session: Session) -> Iterator[None]:
    """What stands between us and a server, or stands in for one, may answer with anything."""
    try:
        yield
    except (ArithmeticError, LookupError, TypeError, ValueError):
        words = f"MySQL at {session.login.place} answered with something that is no entry of its error log."
        raise MaintenanceError(words) from None


def facts_of(login: Login) -> Facts:
    """What a server says of its log. Raises MaintenanceError, and Absent for a server without the table."""
    session = open_session(login)
    try:
        return require_table(session)
    finally:
        session.close()


def require_table(session: Session) -> Facts:
    """Raises Absent where there is no table of the error log, or none that this account may read."""
    product = session.product
    if session.is_mariadb:
        raise Absent(f"{product} has no table of its error log", remedy=_ELSEWHERE)
    try:
        session.rows(_NEWEST, [1])
        facts, status = session.rows(_FACTS), session.rows(_STATUS)
    except QueryError as error:
        if error.is_denied:
            account = _account(session)
            grant = f"GRANT SELECT ON performance_schema.error_log TO {account};"
            raise Absent(f"the account {account} may not read the error log", remedy=grant) from None
        if error.is_missing:
            words = f"{product} has no table of its error log, which came with 8.0.22"
            raise Absent(words, remedy=_ELSEWHERE) from None
        raise
    with _understood(session):
        if facts[0][0] != "1":
            raise Absent(
                f"{product} runs without performance_schema, so the table of its error log is empty",
                remedy="Set performance_schema=ON, which takes a restart, or name the server's file in files.",
            )
        return _facts(facts[0], status)


def _facts(row: Row, status: Sequence[Row]) -> Facts:
    known = {name: int(value or 0) for name, value in status}
    now = int(float(row[6] or 0) * 1e6)
    started = now - known.get("Uptime", 0) * 1_000_000
    latest = known.get("Error_log_latest_write", 0)
    if not (0 <= started < LAST and 0 <= now < LAST and 0 <= latest < LAST):
        raise ValueError
    return Facts(
        server=row[1] or "",
        destination=row[2] or "",
        services=tuple(one for one in (row[3] or "").replace(",", ";").replace(" ", "").split(";") if one),
        verbosity=int(row[4] or 0),
        suppressed=row[5] or "",
        now=now,
        started=started,
        latest=latest,
    )


def _account(session: Session) -> str:
    """The account that the server took us for, quoted as a statement takes it."""
    found = session.rows("SELECT CURRENT_USER()")
    with _understood(session):
        name = clean(found[0][0])
    user, _at_sign, host = name.rpartition("@")
    return "@".join("'" + part.replace("\\", "\\\\").replace("'", "''") + "'" for part in (user, host))


def _entries(rows: Sequence[Row]) -> list[Entry]:
    return [Entry(_micros(row[0] or ""), *(value or "" for value in row[1:])) for row in rows]


def _micros(logged: str) -> int:
    """Microseconds of a time in UTC such as ``2026-11-25 18:57:02.038187``."""
    moment = datetime.fromisoformat(logged).replace(tzinfo=timezone.utc)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _at(stamp: int) -> datetime:
    return _EPOCH + timedelta(microseconds=stamp)


def worded(stamp: int, clock: str = "%H:%M:%SZ") -> str:
    """A time in microseconds for people, or with another form of its clock for the server."""
    return f"{_at(stamp):%Y-%m-%d} {_at(stamp):{clock}}"

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of a program that meet over a table and wait for each other, and the repair that is to set them free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import psycopg
import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import unblock
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import PASSWORD, Database

#: Versions differ in their locks and rights, which the first tests look at; the others say the same on each.
one_version = pytest.mark.parametrize("cluster", [17], indirect=True)
APP = "shopkeeper"
WAITED = "SELECT coalesce(bool_and(clock_timestamp() - waitstart >= '1 s'), false) FROM pg_locks WHERE NOT granted"


@dataclass
class Statement:
    """A statement of a session that takes as long as it takes; ``error`` is what became of it."""

    session: psycopg.Connection[Any]
    text: str
    error: psycopg.Error | None = None
    thread: Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.session.execute(self.text)  # type: ignore[arg-type]
        except psycopg.Error as error:
            self.error = error

    def join(self) -> psycopg.Error | None:
        self.thread.join()
        return self.error


@dataclass
class Shop:
    """A database with a table over which sessions of a program meet."""

    database: Database
    statements: list[Statement] = field(default_factory=list)
    sessions: list[psycopg.Connection[Any]] = field(default_factory=list)

    def session(self, *, user: str = APP, application: str = "billing", **options: Any) -> psycopg.Connection[Any]:
        session = self.database.connect(user=user, application_name=application, **options)
        self.sessions.append(session)
        return session

    def hold(self, *more: str, **options: Any) -> psycopg.Connection[Any]:
        """A session that has the table locked and is then idle in its transaction."""
        session = self.session(**options)
        for statement in ("BEGIN", "LOCK TABLE account IN ROW EXCLUSIVE MODE", *more):
            session.execute(statement)  # type: ignore[arg-type]
        return session

    def work(self, session: psycopg.Connection[Any], text: str = "SELECT 4711, pg_sleep(3600)") -> Statement:
        """Something that the session is at until it is stopped; returns when the server says that it is."""
        statement = Statement(session, text)
        self.statements.append(statement)
        self.until(
            statement,
            "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active' AND wait_event IS NOT NULL",
        )
        return statement

    def wait(self, text: str = "LOCK TABLE account IN SHARE MODE", **options: Any) -> Statement:
        """A session that waits for a lock, and has for a second when this returns."""
        session = self.session(**options)
        if text.startswith("LOCK"):
            session.execute("BEGIN")
        statement = self.work(session, text)
        self.until(statement, f"{WAITED} AND pid = %s")
        return statement

    def until(self, statement: Statement, query: str) -> None:
        """Wait until the server says so of the session of a statement."""
        while not self.database.value(query, statement.session.info.backend_pid):
            assert statement.thread.is_alive(), statement.error


@contextmanager
def opened(database: Database) -> Iterator[Shop]:
    """A shop, and nothing of it afterwards."""
    database.execute(
        f"CREATE ROLE {APP} LOGIN PASSWORD '{PASSWORD}'",
        "CREATE TABLE account (owner text, balance int)",
        "GRANT ALL ON account TO PUBLIC",
    )
    shop = Shop(database)
    try:
        yield shop
    finally:
        database.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        for statement in shop.statements:
            statement.join()
        for session in shop.sessions:
            session.close()
        database.execute(f"DROP OWNED BY {APP}", f"DROP ROLE {APP}")


def repair(shop: Shop, **params: Any) -> dict[str, Any]:
    return shop.database.perform(
        unblock.unblock,
        arguments=unblock.ARGUMENTS,
        name="postgresql_unblock",
        repair=True,
        **{"waiting_for": 1.0, "patience": 5.0, **params},
    )


def steps(result: dict[str, Any], key: str) -> list[tuple[str, str]]:
    return [(entry["action"], entry["target"]) for entry in result[key]]


def reason(result: dict[str, Any]) -> str:
    (entry,) = result["kept"]
    return str(entry["reason"])

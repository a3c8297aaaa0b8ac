# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of repairs: they have limits of their own, and those of a role or a database, for short work, end none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Login, QueryError, Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import open_session as open_short

# A repair rests between its statements while others work, and one statement of it may take hours.
_LIFT = """
SELECT set_config(name, '0', false)
  FROM (VALUES ('transaction_timeout'), ('idle_session_timeout'), ('idle_in_transaction_session_timeout')) AS v (name)
 WHERE current_setting(name, true) IS NOT NULL
"""


@contextmanager
def connect(login: Login, *, database: str = "", read_only: bool = False) -> Iterator[Session]:
    """A session that is closed at the end. Raises ConnectError."""
    session = open_session(login, database=database, read_only=read_only)
    try:
        yield session
    finally:
        session.close()


def open_session(login: Login, *, database: str = "", read_only: bool = False) -> Session:
    """As ``client.open_session``; only what is set on it from here on limits it. Raises ConnectError."""
    session = open_short(login, database=database, read_only=read_only)
    try:
        session.rows(_LIFT)
    except QueryError:
        # Whoever keeps a login from this has set limits that are meant to hold for it.
        return session
    except BaseException:
        session.close()
        raise
    return session


class Sessions:
    """Who has looked at a database leaves the connection to who works in it; ``most`` rest at a time."""

    def __init__(self, login: Login, *, most: int) -> None:
        self.login = login
        self.most = most
        self.resting: list[Session] = []
        self.guard = threading.Lock()

    @contextmanager
    def looking(self, database: str) -> Iterator[Session]:
        """A session that changes nothing, and rests afterwards. Raises ConnectError."""
        session = open_session(self.login, database=database, read_only=True)
        try:
            yield session
        finally:
            with self.guard:
                kept = not session.broken and len(self.resting) < self.most
                if kept:
                    self.resting.append(session)
            if not kept:
                session.close()

    def working(self, database: str) -> Session:
        """One that has rested, or a new one; it is the taker's to close. Raises ConnectError."""
        with self.guard:
            found = next((session for session in self.resting if session.database == database), None)
            if found is not None:
                self.resting.remove(found)
        if found is not None:
            try:
                found.set(default_transaction_read_only="off")
            except ConnectError:
                found.close()
            else:
                return found
        return open_session(self.login, database=database)

    def close(self) -> None:
        with self.guard:
            resting, self.resting = self.resting, []
        for session in resting:
            session.close()

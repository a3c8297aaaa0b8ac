# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server is and what we may see of it. What it can do is asked of its objects, for forks lie about versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session

_FACTS = """
SELECT current_setting('server_version_num')::int AS version_number,
       current_setting('server_version') AS version,
       current_user::text AS user_name,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       ARRAY(SELECT rolname::text FROM pg_roles
              WHERE rolname LIKE 'pg\\_%' AND pg_has_role(current_user, oid, 'USAGE')) AS roles,
       pg_is_in_recovery() AS in_recovery,
       pg_postmaster_start_time() AS started,
       now() AS now,
       current_setting('block_size')::int AS block_size
"""
_VIEWS = """
SELECT c.relname::text AS name, array_agg(a.attname::text) AS columns
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'v'
 GROUP BY c.relname
"""
_DATABASES = """
SELECT d.oid::bigint AS oid, d.datname::text AS name, d.datallowconn AND d.datconnlimit <> -2 AS open,
       d.datistemplate AS template,
       has_database_privilege(d.oid, 'CONNECT') AS allowed
  FROM pg_database d ORDER BY d.datname
"""


@dataclass(frozen=True)
class DatabaseName:
    """A database of the cluster. ``allowed``: this login may connect; ``open``: anybody may.

    What a DROP DATABASE that was broken off has left (datconnlimit -2) is not open: the server lets nobody in.
    """

    oid: int
    name: str
    open: bool
    template: bool
    allowed: bool


@dataclass(frozen=True)
class Server:
    """One cluster as this login sees it. ``now`` and ``started`` are the server's own clock."""

    place: str
    version_number: int
    version: str
    user: str
    superuser: bool
    roles: frozenset[str]
    in_recovery: bool
    started: datetime
    now: datetime
    block_size: int = 8192
    views: Mapping[str, frozenset[str]] = field(default_factory=dict)
    databases: tuple[DatabaseName, ...] = ()

    @property
    def major(self) -> int:
        """The major version, for words and for the table of support ends; never to guess what the server can do."""
        return self.version_number // 10000

    @property
    def monitors(self) -> bool:
        """Whether this login sees what others do (member of pg_monitor or pg_read_all_stats)."""
        return self.superuser or bool({"pg_monitor", "pg_read_all_stats"} & self.roles)

    def has(self, view: str, column: str = "") -> bool:
        """Whether a view of pg_catalog is there, and this column in it."""
        columns = self.views.get(view)
        return columns is not None and (not column or column in columns)

    def grant(self, role: str = "pg_monitor", *, on: str = "", name: str = "") -> str:
        """The statement that would let this login see more: a role, or a privilege on the kind ``on`` of ``name``."""
        place = f" ON {on} {quoted(name)}" if on else ""
        return f"GRANT {role}{place} TO {quoted(self.user)}"


def quoted(name: str) -> str:
    """A name as a statement that is shown has it; what is carried out is quoted by the driver."""
    return clean('"' + name.replace('"', '""') + '"')


def look(session: Session) -> Server:
    """Ask a cluster what it is, in three queries. Raises ConnectError, QueryError."""
    facts = session.row(_FACTS)
    views = {row["name"]: frozenset(row["columns"]) for row in session.many(_VIEWS)}
    return Server(
        place=session.login.place,
        version_number=facts["version_number"],
        version=facts["version"],
        user=facts["user_name"],
        superuser=facts["superuser"],
        roles=frozenset(facts["roles"]),
        in_recovery=facts["in_recovery"],
        started=facts["started"],
        now=facts["now"],
        block_size=facts["block_size"],
        views=views,
        databases=tuple(DatabaseName(**row) for row in session.rows(_DATABASES)),
    )

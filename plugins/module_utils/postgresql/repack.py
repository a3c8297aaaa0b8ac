# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of pg_repack in one database: its extension, its program on this host, and what it has left behind."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import QueryError, Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Table

# The views and functions are its own, in a schema of a fixed name.
_EXTENSION = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_repack') AS there"
_VERSION = "SELECT repack.version() AS library, repack.version_sql() AS extension"
_KEYED = "SELECT relid::bigint AS oid FROM repack.tables WHERE relid = ANY(%s::oid[]) AND pkid IS NOT NULL"
_BROKEN = "SELECT DISTINCT indrelid::bigint AS oid FROM pg_index WHERE indrelid = ANY(%s::oid[]) AND NOT indisvalid"
# Who repacks a table holds an advisory lock that is made of its oid (REPACK_LOCK_PREFIX in its pg_repack.c).
_REMAINS = """
WITH named AS (
    SELECT c.oid AS own, substring(c.relname FROM '[0-9]+$')::oid AS oid
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'repack' AND c.relkind = 'r' AND c.relname ~ '^(log|table)_[0-9]+$'
), found AS (
    SELECT oid, sum(pg_total_relation_size(own))::bigint AS bytes FROM named GROUP BY oid
     UNION ALL
    SELECT tgrelid, 0 FROM pg_trigger WHERE tgname = 'repack_trigger' AND NOT tgisinternal
)
SELECT f.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name, sum(f.bytes)::bigint AS bytes,
       EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = f.oid AND t.tgname = 'repack_trigger') AS recording
  FROM found f LEFT JOIN pg_class c ON c.oid = f.oid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT EXISTS (SELECT FROM pg_locks l
                    WHERE l.locktype = 'advisory' AND l.classid = 16185446 AND l.objsubid = 2
                      AND l.objid::bigint = (f.oid::bigint + 2147483648) %% 4294967296
                      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND (%(only)s::bigint IS NULL OR f.oid::bigint = %(only)s)
 GROUP BY f.oid, n.nspname, c.relname ORDER BY f.oid
"""
#: Where Debian and the PGDG packages put what belongs to one version of the server.
PLACES = ("/usr/lib/postgresql/*/bin/pg_repack", "/usr/pgsql-*/bin/pg_repack")
_SECONDS = 10.0


@dataclass(frozen=True)
class Remains:
    """What was left of the repack of one table; ``schema`` and ``name`` are None where the table itself is gone."""

    oid: int
    schema: str | None
    name: str | None
    bytes: int
    recording: bool

    @property
    def words(self) -> str:
        parts = ["a trigger that writes down every change"] if self.recording else []
        parts += [f"tables of {quantity(self.bytes, 'B')}"] if self.bytes else []
        return f"a pg_repack that was broken off has left {' and '.join(parts) or 'something'}"


@dataclass(frozen=True)
class Repack:
    """``program`` is the one that fits the extension; ``lacking`` says why none of the tables can be repacked.

    ``keyed`` are those with a key that it can go by, ``broken`` those with an invalid index.
    """

    program: str = ""
    lacking: str = "it is not known whether pg_repack is there"
    keyed: frozenset[int] = frozenset()
    broken: frozenset[int] = frozenset()
    remains: tuple[Remains, ...] = ()

    @property
    def passing(self) -> frozenset[tuple[str, str]]:
        """The tables, by schema and name, that are nothing but remains."""
        return frozenset(("repack", f"{kind}_{remains.oid}") for remains in self.remains for kind in ("log", "table"))

    def against(self, table: Table) -> str:
        """Why this table cannot be repacked; empty where it can."""
        if self.lacking:
            return self.lacking
        if table.kind != "r" or table.persistence != "p":
            return "pg_repack works on permanent tables alone"
        if table.oid not in self.keyed:
            return "pg_repack needs a primary key, or a unique index on columns that are NOT NULL"
        if table.oid in self.broken:
            return "one of its indexes is invalid; postgresql_reindex mends it"
        return ""


def look_for_repack(session: Session, server: Server, oids: Sequence[int]) -> Repack:
    """What pg_repack could do with these tables. Raises QueryError, ConnectError."""
    if not session.row(_EXTENSION)["there"]:
        return Repack(lacking="the extension pg_repack is not in this database; CREATE EXTENSION pg_repack")
    if not server.superuser:
        return Repack(lacking="pg_repack asks for a superuser")
    remains = find_remains(session)
    try:
        told = session.row(_VERSION)
    except QueryError as error:
        return Repack(lacking=f"pg_repack does not answer in this database: {error.message}", remains=remains)
    program, lacking = _program(told["library"], told["extension"])
    return Repack(
        program=program,
        lacking=lacking,
        keyed=frozenset(row["oid"] for row in session.rows(_KEYED, (list(oids),))),
        broken=frozenset(row["oid"] for row in session.rows(_BROKEN, (list(oids),))),
        remains=remains,
    )


def find_remains(session: Session, *, table: int | None = None) -> tuple[Remains, ...]:
    """What is left of repacks that nobody is at work on any more; of one ``table``, by its oid, alone."""
    return tuple(Remains(**row) for row in session.rows(_REMAINS, {"only": table}))


def _program(library: str, extension: str) -> tuple[str, str]:
    """The program that fits, and why there is none: it refuses any version but its own."""
    if library != extension:
        update = "ALTER EXTENSION pg_repack does not do it: DROP and CREATE EXTENSION pg_repack"
        return "", clean(f"the extension is {extension} and its library {library}; {update}")
    found: list[str] = []
    on_path = command.which("pg_repack")
    for path in [*([on_path] if on_path else []), *sorted(p for place in PLACES for p in glob.glob(place))]:
        try:
            said = command.run([path, "--version"], timeout=_SECONDS).stdout.strip()
        except MaintenanceError:
            continue
        if said == library:
            return path, ""
        found.append(said)
    if not found:
        return "", f"the program pg_repack is not on this host; install that of {library} (postgresql-<version>-repack)"
    return "", clean(f"the extension is {library}, and this host has {', '.join(dict.fromkeys(found))}")

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the databases and their tables are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Table, collect_tables
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Topic, View
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.worst import Candidate, tell

CHECKS = (
    Check(
        "postgresql.size",
        "Size of the databases",
        "What all databases take up on disk together, without write-ahead log. Each database is a metric of its own; a "
        "level that names one (postgresql.size[*/shop]) gives it a finding of its own.",
        "See which tables grow (postgresql.table_growth) and what they hold without need (postgresql.table_bloat).",
        "pg_database_size()",
        "B",
    ),
    Check(
        "postgresql.table_size",
        "Size of the tables",
        "What the largest table of a database takes up with its indexes and TOAST, and those that follow it.",
        "See what it holds without need (postgresql.table_bloat), and whether old rows should be gone by now; a table "
        "that grows for ever is one to partition.",
        "pg_class and its files",
        "B",
    ),
)

_SIZES = """
SELECT datname::text AS name,
       CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
            THEN pg_database_size(oid) END AS bytes
  FROM pg_database WHERE datname = ANY (%s) ORDER BY datname
"""
_MEASURED = 100
_SHOWN = 20


def collect_sizes(session: Session, server: Server, settings: Settings) -> Mapping[str, int | None]:
    """Bytes by database; None where this login may not ask."""
    wanted = [
        database.name
        for database in server.databases
        if not database.template and not any(fnmatchcase(database.name, glob) for glob in settings.databases_exclude)
    ]
    return {row["name"]: row["bytes"] for row in session.rows(_SIZES, (wanted,))}


def size(view: View) -> Iterator[Answer]:
    check = "postgresql.size"
    sizes: Mapping[str, int | None] = view.part("sizes")
    known = sorted(known_sizes(view).items(), key=lambda entry: -entry[1])
    hidden = [name for name, amount in sizes.items() if amount is None]
    yield from view.measure(
        check,
        view.place,
        sum(amount for _name, amount in known),
        "all databases together",
        note=counted(len(known), "database")
        + (f", without {len(hidden)} whose size this login may not ask" if hidden else ""),
        evidence=[f"{name}: {quantity(amount, 'B')}" for name, amount in known[:_SHOWN]],
    )
    for name, amount in known[:_MEASURED]:
        item = view.item(name)
        if view.book.names_item(check, item):
            yield from view.measure(check, item, amount, f"database {name}")
        else:
            yield Metric(check, item, amount, "B")
    if hidden:
        reason = f"the size of {counted(len(hidden), 'database')} may not be asked by this login"
        remedy = view.cluster.server.grant()
        yield view.state(check, f"{view.place} (hidden)", "skipped", reason, evidence=hidden, remedy=remedy)


def known_sizes(view: View) -> dict[str, int]:
    """Bytes by database, of those that this login may ask for. Raises Absent where it may ask for none."""
    sizes: Mapping[str, int | None] = view.part("sizes")
    known = {name: amount for name, amount in sizes.items() if amount is not None}
    if sizes and not known:
        raise Absent("this login may not ask for the size of any database", remedy=view.cluster.server.grant())
    return known


def table_size(view: View) -> Iterator[Answer]:
    check = "postgresql.table_size"
    for database, tables in view.in_databases("tables"):
        candidates = [
            Candidate(
                f"{view.place}/{database} {label(table)}",
                table.total_bytes,
                f"{label(table)}: {quantity(table.total_bytes, 'B')}",
                note=f"{label(table)}, {quantity(table.index_bytes, 'B')} of it indexes",
            )
            for table in own_tables(tables)
        ]
        many = f"largest of {counted(len(candidates), 'table')}"
        yield from tell(view, check, view.item(database), candidates, many, each="size", nothing="no tables")
    yield from view.absences(check, "tables")


def own_tables(tables: Sequence[Table]) -> list[Table]:
    """The tables and materialized views that users have made to stay."""
    return [
        table
        for table in tables
        if table.kind in ("r", "m") and not (table.is_temporary or table.shared or table.system)
    ]


def label(table: Table) -> str:
    """A table's name as it is; what shows it makes it clean."""
    return f"{table.schema}.{table.name}"


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.size": (size, ("sizes",)),
        "postgresql.table_size": (table_size, ("tables",)),
    },
    cluster={"sizes": collect_sizes},
    database={"tables": collect_tables},
)

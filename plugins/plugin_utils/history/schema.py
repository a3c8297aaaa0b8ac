# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the history, and how an older history becomes a newer one. Times are Unix seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    select,
    update,
)

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError

VERSION = 1

metadata = MetaData()

about = Table(
    "maintenance_about",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

host = Table(
    "maintenance_host",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("last_seen", BigInteger, nullable=False),
)

#: One line a run: when it ran and what came of it.
run = Table(
    "maintenance_run",
    metadata,
    Column("id", String(120), primary_key=True),
    Column("cadence", String(20), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("controller", Text, nullable=False),
    Column("status", String(10), nullable=False),
    Column("hosts", Integer, nullable=False),
    Index("maintenance_run_by_time", "cadence", "at"),
)

#: One line a host and run; ``digest`` tells at a glance whether anything is different from the run before.
host_run = Table(
    "maintenance_host_run",
    metadata,
    Column("host_id", ForeignKey("maintenance_host.id"), primary_key=True),
    Column("run", String(120), primary_key=True),
    Column("cadence", String(20), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("status", String(10), nullable=False),
    Column("digest", String(32), nullable=False),
    Index("maintenance_host_run_latest", "host_id", "cadence", "at"),
    sqlite_with_rowid=False,
)

#: The present state of each question, written only when it changes. ``since``: when it came to be so.
finding_state = Table(
    "maintenance_finding_state",
    metadata,
    Column("host_id", ForeignKey("maintenance_host.id"), primary_key=True),
    Column("cadence", String(20), primary_key=True),
    Column("check_id", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("module", Text, nullable=False),
    Column("status", String(10), nullable=False),
    Column("suppressed", Boolean, nullable=False),
    Column("gone", Boolean, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("changed_run", String(120), nullable=False),
    sqlite_with_rowid=False,
)

finding_change = Table(
    "maintenance_finding_change",
    metadata,
    Column("host_id", ForeignKey("maintenance_host.id"), primary_key=True),
    Column("run", String(120), primary_key=True),
    Column("check_id", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("before", String(10), nullable=False),
    Column("after", String(10), nullable=False),
    sqlite_with_rowid=False,
)

series = Table(
    "maintenance_series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("host_id", ForeignKey("maintenance_host.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("unit", Text, nullable=False),
    UniqueConstraint("host_id", "name", "item"),
)

measurement = Table(
    "maintenance_measurement",
    metadata,
    Column("series_id", ForeignKey("maintenance_series.id"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Float(53), nullable=False),
    sqlite_with_rowid=False,
)

Migration = Callable[[Connection], None]
#: What brings a history from the version in the key to the next one.
MIGRATIONS: Mapping[int, Migration] = {}


def prepare(
    connection: Connection, *, version: int = VERSION, migrations: Mapping[int, Migration] | None = None
) -> None:
    """Create the tables, or bring older ones up to ``version``. Raises MaintenanceError for newer ones."""
    if not inspect(connection).has_table(about.name):
        metadata.create_all(connection)
        connection.execute(about.insert().values(name="schema", value=str(version)))
        return
    found = int(connection.execute(select(about.c.value).where(about.c.name == "schema")).scalar_one())
    if found > version:
        raise MaintenanceError(
            f"The history has schema {found}, but this version of the collection knows schemas up to {version}.",
            remedy="Update the collection on this controller.",
        )
    for step in range(found, version):
        (MIGRATIONS if migrations is None else migrations)[step](connection)
    if found != version:
        connection.execute(update(about).where(about.c.name == "schema").values(value=str(version)))

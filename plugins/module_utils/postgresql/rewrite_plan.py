# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the tables named for it are rewritten, by VACUUM FULL or by pg_repack, and why the others are not: pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.repack import Repack
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Table
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_need import Need
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_terms import Choice, Ground, Job

#: How many times its size has to be free for a table to be rewritten: the new one, and what sorting its indexes takes.
ROOM = 2


def rewrites(ground: Ground, choice: Choice) -> tuple[list[Job], list[tuple[str, str]]]:
    """The jobs, and the tables named for a rewrite that get none, with the reason."""
    by_name = {(table.schema, table.name): table for table in ground.tables if table.kind in ("r", "m")}
    jobs: list[Job] = list(_clearing(ground))
    refused: list[tuple[str, str]] = []
    for tool, named in (("", choice.full), ("pg_repack", choice.repack)):
        for database, schema, name in named:
            if database != ground.database:
                continue
            table = by_name.get((schema, name))
            if table is None:
                refused.append((f"{schema}.{name}", "there is no such table to rewrite"))
                continue
            reason, wasted = _against(table, ground, choice, by_tool=bool(tool))
            if reason:
                refused.append((table.label, reason))
            else:
                jobs.append(_job(ground, table, wasted, by_tool=bool(tool)))
    return jobs, refused


def _clearing(ground: Ground) -> Iterator[Job]:
    """Away with what a pg_repack that was broken off has left: its trigger writes down every change for nobody."""
    tables = {table.oid: table for table in ground.tables}
    for remains in ground.repack.remains if ground.repack else ():
        table = tables.get(remains.oid, Table(remains.oid, "repack", f"table_{remains.oid}"))
        yield Job(
            action="clear up after pg_repack",
            target=f"{ground.database} {table.label}",
            reason=remains.words,
            reversible=False,
            estimate={"freed_bytes": remains.bytes},
            database=ground.database,
            table=table,
            need=Need(table),
            remains=remains,
        )


def _against(table: Table, ground: Ground, choice: Choice, *, by_tool: bool) -> tuple[str, float]:
    """Why a table is not rewritten, empty where it is, and how many percent of it a rewrite wins back."""
    if table.oid not in ground.allowed:
        return f"not allowed: {ground.grant}", 0.0
    most = choice.repack_max_bytes if by_tool else choice.full_max_bytes
    if table.total_bytes > most:
        option = "repack_max_bytes" if by_tool else "full_max_bytes"
        return f"it has {quantity(table.total_bytes, 'B')}, and {option} is {quantity(most, 'B')}", 0.0
    against = (ground.repack or Repack()).against(table) if by_tool else ""
    if against:
        return against, 0.0
    wasted = ground.wasted.get(table.oid, Absent("it is not known what a rewrite would win back"))
    if isinstance(wasted, Absent):
        return f"{wasted.message}; {wasted.remedy}".rstrip("; "), 0.0
    if wasted < choice.full_min_percent:
        return f"a rewrite would win back {wasted:.0f} %, and full_min_percent is {choice.full_min_percent:g}", wasted
    tablespace = ground.tablespaces.get(table.oid, 0)
    return ground.disk.lacks(ROOM * table.total_bytes, tablespace, unseen=choice.unseen_bytes), wasted


def _job(ground: Ground, table: Table, wasted: float, *, by_tool: bool) -> Job:
    return Job(
        action="repack" if by_tool else "vacuum full",
        target=f"{ground.database} {table.label}",
        # Only the rows themselves were looked at; how much its indexes and TOAST would shrink nobody knows.
        reason=f"{wasted:.0f} % of its rows' space would be won back; with indexes and TOAST it takes "
        f"{quantity(table.total_bytes, 'B')}",
        reversible=False,
        estimate={"size_bytes": table.total_bytes, "rows": max(0, int(table.rows))},
        database=ground.database,
        table=table,
        need=Need(table),
        vacuum=True,
        analyze=True,
        full=True,
        program=ground.repack.program if by_tool and ground.repack else "",
    )

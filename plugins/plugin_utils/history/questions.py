# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the tables, a batch of hosts at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, delete, func, select, true

from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import HostView, Key
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history import schema
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history.compare import Known


def latest_runs(connection: Connection, ids: Iterable[int], cadence: str) -> dict[int, tuple[str, int, str]]:
    table = schema.host_run
    newest = (
        select(table.c.host_id, func.max(table.c.at).label("at"))
        .where(table.c.host_id.in_(list(ids)), table.c.cadence == cadence)
        .group_by(table.c.host_id)
        .subquery()
    )
    rows = connection.execute(
        select(table.c.host_id, table.c.run, table.c.at, table.c.digest)
        .join(newest, (table.c.host_id == newest.c.host_id) & (table.c.at == newest.c.at))
        .where(table.c.cadence == cadence)
    )
    return {row.host_id: (row.run, row.at, row.digest) for row in rows}


def hosts_of_run(connection: Connection, ids: Iterable[int], run: str) -> set[int]:
    table = schema.host_run
    rows = connection.execute(select(table.c.host_id).where(table.c.host_id.in_(list(ids)), table.c.run == run))
    return set(rows.scalars())


def looks(connection: Connection, since: Mapping[str, int], cadence: str, *, before: int) -> dict[str, list[int]]:
    table, host = schema.host_run, schema.host
    rows = connection.execute(
        select(host.c.name, table.c.at)
        .join(host, host.c.id == table.c.host_id)
        .where(host.c.name.in_(list(since)), table.c.cadence == cadence)
        .where(table.c.at >= min(since.values()), table.c.at < before)
        .order_by(table.c.at)
    )
    found: dict[str, list[int]] = {}
    for name, at in rows:
        if at >= since[name]:
            found.setdefault(name, []).append(at)
    return found


def states(
    connection: Connection, ids: Sequence[int], cadence: str, *, alarming: bool = False
) -> dict[int, dict[Key, Known]]:
    if not ids:
        return {}
    table = schema.finding_state
    rows = connection.execute(
        select(
            table.c.host_id,
            table.c.check_id,
            table.c.item,
            table.c.module,
            table.c.status,
            table.c.suppressed,
            table.c.gone,
            table.c.since,
            table.c.changed_run,
        ).where(
            table.c.host_id.in_(ids),
            table.c.cadence == cadence,
            table.c.status != "ok" if alarming else true(),
        )
    )
    known: dict[int, dict[Key, Known]] = {}
    for host_id, check, item, *rest in rows:
        known.setdefault(host_id, {})[(check, item)] = Known(*rest)
    return known


def numbers(view: HostView) -> dict[Key, tuple[float, str]]:
    found = {entry.key: (entry.value, entry.unit) for entry in view.entries if entry.value is not None}
    return {**view.metrics, **found}


def series(connection: Connection, ids: Iterable[int]) -> dict[tuple[int, str, str], int]:
    table = schema.series
    rows = connection.execute(
        select(table.c.host_id, table.c.name, table.c.item, table.c.id).where(table.c.host_id.in_(list(ids)))
    )
    return {(host_id, name, item): series_id for host_id, name, item, series_id in rows}


def points(
    connection: Connection, host_id: int, ids: Sequence[int], *, until: int, runs: int
) -> Iterable[tuple[int, int, float]]:
    """All numbers of some series within the last runs of their host, in one question."""
    table, run = schema.measurement, schema.host_run
    latest = (
        select(run.c.at)
        .where(run.c.host_id == host_id, run.c.at <= until)
        .order_by(run.c.at.desc())
        .limit(runs)
        .subquery()
    )
    since = connection.execute(select(func.min(latest.c.at))).scalar()
    if since is None or not ids:
        return []
    rows = connection.execute(
        select(table.c.series_id, table.c.at, table.c.value)
        .where(table.c.series_id.in_(ids), table.c.at >= since, table.c.at <= until)
        .order_by(table.c.series_id, table.c.at)
    )
    return [tuple(row) for row in rows]


def run_times(connection: Connection, *, limit: int) -> dict[str, list[tuple[int, float]]]:
    table = schema.run
    found = {}
    for cadence in connection.execute(select(table.c.cadence).distinct()).scalars():
        rows = connection.execute(
            select(table.c.at, table.c.hosts).where(table.c.cadence == cadence).order_by(table.c.at.desc()).limit(limit)
        )
        found[str(cadence)] = [(row.at, row.hosts) for row in rows]
    return found


def forget_numbers(connection: Connection, ids: Sequence[int], *, before: int) -> None:
    """Old numbers of the hosts at hand: through the primary key, so the cost is that of these hosts alone."""
    measurement = schema.measurement
    own = select(schema.series.c.id).where(schema.series.c.host_id.in_(ids))
    connection.execute(delete(measurement).where(measurement.c.series_id.in_(own), measurement.c.at < before))


def forget(connection: Connection, *, before: int) -> None:
    lost = select(schema.host.c.id).where(schema.host.c.last_seen < before)
    own = select(schema.series.c.id).where(schema.series.c.host_id.in_(lost))
    connection.execute(delete(schema.measurement).where(schema.measurement.c.series_id.in_(own)))
    for table in (schema.series, schema.finding_state, schema.finding_change, schema.host_run):
        connection.execute(delete(table).where(table.c.host_id.in_(lost)))
    connection.execute(delete(schema.host).where(schema.host.c.last_seen < before))
    for table in (schema.finding_change, schema.host_run, schema.run):
        connection.execute(delete(table).where(table.c.at < before))

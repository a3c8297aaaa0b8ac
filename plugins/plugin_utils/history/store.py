# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history: what is known of every finding, when it changed, and the numbers behind it.

SQLite beside the reports, or PostgreSQL where several controllers share it. Hosts are taken in batches, a transaction
each, so a run that is killed leaves whole hosts behind, and taking a host in twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import Change, Entry, HostView, Key
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history import questions, schema
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history.compare import (
    Comparison,
    Known,
    compare,
    digest,
)
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history.engine import connect_to, make_file

DAY = 86400
#: Hosts in a transaction: large enough to be quick, short enough not to keep another controller waiting.
BATCH = 50
_ROWS = 5_000

Point = tuple[int, float]


class HistoryError(MaintenanceError):
    """The history cannot be reached, read or written."""


@dataclass(frozen=True)
class RunFacts:
    """What the history needs to know of a run; ``at`` is its start in Unix seconds."""

    id: str
    cadence: str
    at: int
    controller: str = ""


@dataclass
class _Batch:
    """What one transaction is about."""

    ids: dict[str, int]
    views: list[HostView]
    latest: dict[int, tuple[str, int, str]] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    measured: list[tuple[int, HostView]] = field(default_factory=list)


class History:
    """An open history. Every method raises HistoryError where the database does not do its part."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._sqlite = url.get_backend_name() == "sqlite"
        # Of the two the one that is needed: a report on a few hosts is mostly the time that imports take.
        self._dialect: Any = import_module(f"sqlalchemy.dialects.{url.get_backend_name()}")
        with self._told("opened"):
            if self._sqlite:
                make_file(Path(str(url.database)))
            self._engine = connect_to(url)
            with self._engine.begin() as connection:
                if not self._sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(7236610113)"))
                schema.prepare(connection)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            place = self._url.render_as_string(hide_password=True)
            reason = clean(getattr(error, "orig", None) or error)
            if self._url.password:
                reason = reason.replace(str(self._url.password), "***")
            raise HistoryError(f"The history in {place} cannot be {what}: {reason}.") from None

    # --- taking a run in -------------------------------------------------------------------------------------

    def absorb(self, facts: RunFacts, views: Sequence[HostView], *, retention_days: int = 400) -> None:
        """Take hosts of a run in and set every entry's ``change`` and the views' ``gone``.

        A host that this run, or a later one of the cadence, has already brought in is only compared, not written.
        """
        for start in range(0, len(views), BATCH):
            with self._told("written"), self._engine.begin() as connection:
                self._absorb(connection, facts, list(views[start : start + BATCH]), retention_days=retention_days)

    def _absorb(self, connection: Connection, facts: RunFacts, views: list[HostView], *, retention_days: int) -> None:
        batch = _Batch(ids=self._hosts(connection, [view.host for view in views], facts.at), views=views)
        batch.latest = questions.latest_runs(connection, batch.ids.values(), facts.cadence)
        done = questions.hosts_of_run(connection, batch.ids.values(), facts.id)
        fresh, again, same = [], [], []
        digests = {view.host: digest(view) for view in views}
        for view in views:
            host_id = batch.ids[view.host]
            before = batch.latest.get(host_id)
            if host_id in done or (before is not None and before[1] > facts.at):
                again.append(view)
            elif before is not None and before[2] == digests[view.host]:
                same.append(view)
            else:
                fresh.append(view)
        self._compare_again(connection, facts, batch, again)
        self._take_unchanged(connection, facts, batch, same)
        self._take_changed(connection, facts, batch, fresh)
        for view in (*same, *fresh):
            batch.runs.append(
                {
                    "host_id": batch.ids[view.host],
                    "run": facts.id,
                    "cadence": facts.cadence,
                    "at": facts.at,
                    "status": view.status,
                    "digest": digests[view.host],
                }
            )
            batch.measured.append((batch.ids[view.host], view))
        _insert(connection, schema.host_run, batch.runs)
        _insert(connection, schema.finding_change, batch.changes)
        self._upsert(connection, schema.finding_state, batch.states)
        self._measure(connection, facts, batch.measured, retention_days=retention_days)

    def _hosts(self, connection: Connection, names: Sequence[str], at: int) -> dict[str, int]:
        """Ids of hosts, made where new. Locks the rows, in one order, so that two controllers cannot interleave."""
        table = schema.host
        rows = [{"name": name, "last_seen": at} for name in sorted(names)]
        statement = self._dialect_insert(table).values(rows)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[table.c.name],
                set_={"last_seen": statement.excluded.last_seen},
            )
        )
        return {
            row.name: row.id
            for row in connection.execute(select(table.c.id, table.c.name).where(table.c.name.in_(names)))
        }

    def _compare_again(self, connection: Connection, facts: RunFacts, batch: _Batch, views: Sequence[HostView]) -> None:
        for view in views:
            self._recall(connection, facts, batch.ids[view.host], view)

    def _take_unchanged(
        self, connection: Connection, facts: RunFacts, batch: _Batch, views: Sequence[HostView]
    ) -> None:
        """Hosts whose digest is the last run's: nothing to write, and only what is not fine has a date to show."""
        known = questions.states(connection, [batch.ids[view.host] for view in views], facts.cadence, alarming=True)
        for view in views:
            states = known.get(batch.ids[view.host], {})
            for entry in view.entries:
                state = states.get(entry.key)
                entry.change = Change("unchanged", state.since if state else facts.at, entry.standing)

    def _take_changed(self, connection: Connection, facts: RunFacts, batch: _Batch, views: Sequence[HostView]) -> None:
        known = questions.states(connection, [batch.ids[view.host] for view in views], facts.cadence)
        for view in views:
            host_id = batch.ids[view.host]
            first = host_id not in batch.latest
            result = compare(view, known.get(host_id, {}), at=facts.at, first=first)
            _show(view, result)
            self._note(facts, batch, host_id, view, result)

    def _note(self, facts: RunFacts, batch: _Batch, host_id: int, view: HostView, result: Comparison) -> None:
        entries = {entry.key: entry for entry in view.entries}
        base = {"host_id": host_id, "cadence": facts.cadence, "changed_run": facts.id}
        for key in result.written:
            entry, change = entries[key], result.changes[key]
            batch.states.append(
                {
                    **base,
                    "check_id": key[0],
                    "item": key[1],
                    "module": entry.module,
                    "status": entry.status,
                    "suppressed": entry.suppressed is not None,
                    "gone": False,
                    "since": change.since,
                }
            )
        for key, before in result.gone.items():
            batch.states.append(
                {
                    **base,
                    "check_id": key[0],
                    "item": key[1],
                    "module": before.module,
                    "status": before.status,
                    "suppressed": before.suppressed,
                    "gone": True,
                    "since": facts.at,
                }
            )
        for key, change in result.changes.items():
            if change.kind not in ("unchanged", "first"):
                after = entries[key].standing if key in entries else "gone"
                batch.changes.append(
                    {
                        "host_id": host_id,
                        "run": facts.id,
                        "check_id": key[0],
                        "item": key[1],
                        "at": facts.at,
                        "kind": change.kind,
                        "before": change.before,
                        "after": after,
                    }
                )

    def _measure(
        self,
        connection: Connection,
        facts: RunFacts,
        measured: Sequence[tuple[int, HostView]],
        *,
        retention_days: int,
    ) -> None:
        values = {host_id: questions.numbers(view) for host_id, view in measured}
        if not any(values.values()):
            return
        ids = questions.series(connection, values)
        missing = [
            {"host_id": host_id, "name": name, "item": item, "unit": unit}
            for host_id, numbers in values.items()
            for (name, item), (_value, unit) in numbers.items()
            if (host_id, name, item) not in ids
        ]
        if missing:
            statement = self._dialect_insert(schema.series).on_conflict_do_nothing()
            for start in range(0, len(missing), _ROWS):
                connection.execute(statement, missing[start : start + _ROWS])
            ids = questions.series(connection, values)
        rows = [
            {"series_id": ids[(host_id, *key)], "at": facts.at, "value": value}
            for host_id, numbers in values.items()
            for key, (value, _unit) in numbers.items()
        ]
        statement = self._dialect_insert(schema.measurement).on_conflict_do_nothing()
        for start in range(0, len(rows), _ROWS):
            connection.execute(statement, rows[start : start + _ROWS])
        questions.forget_numbers(connection, list(values), before=facts.at - retention_days * DAY)

    def record_run(self, facts: RunFacts, *, status: str, hosts: int, retention_days: int = 400) -> None:
        """Note the run as a whole, and forget what is older than the retention."""
        row = {
            "id": facts.id,
            "cadence": facts.cadence,
            "at": facts.at,
            "controller": facts.controller,
            "status": status,
            "hosts": hosts,
        }
        with self._told("written"), self._engine.begin() as connection:
            self._upsert(connection, schema.run, [row])
            questions.forget(connection, before=facts.at - retention_days * DAY)

    # --- asking ----------------------------------------------------------------------------------------------

    def recall(self, facts: RunFacts, view: HostView) -> None:
        """Set the changes of a host that this run has brought in earlier."""
        with self._told("read"), self._engine.connect() as connection:
            host_id = connection.execute(select(schema.host.c.id).where(schema.host.c.name == view.host)).scalar()
            if host_id is not None:
                self._recall(connection, facts, host_id, view)

    def _recall(self, connection: Connection, facts: RunFacts, host_id: int, view: HostView) -> None:
        table = schema.finding_change
        noted = {
            (row.check_id, row.item): row
            for row in connection.execute(
                select(table).where(table.c.host_id == host_id).where(table.c.run == facts.id)
            )
        }
        known = questions.states(connection, [host_id], facts.cadence, alarming=True).get(host_id, {})
        runs = schema.host_run
        earlier = connection.execute(
            select(func.count())
            .select_from(runs)
            .where(runs.c.host_id == host_id, runs.c.cadence == facts.cadence, runs.c.at < facts.at)
        ).scalar()
        result = Comparison()
        for entry in view.entries:
            row, state = noted.get(entry.key), known.get(entry.key)
            if row is not None:
                result.changes[entry.key] = Change(row.kind, row.at, row.before)
            elif not earlier:
                result.changes[entry.key] = Change("first", facts.at)
            else:
                since = state.since if state and state.standing == entry.standing else facts.at
                result.changes[entry.key] = Change("unchanged", min(since, facts.at), entry.standing)
        for key, row in noted.items():
            if row.kind == "gone" and key not in result.changes:
                result.changes[key] = Change("gone", row.at, row.before)
                result.gone[key] = known.get(key) or Known("", row.before, False, True, row.at)
        _show(view, result)

    def trends(self, host: str, keys: Iterable[Key], *, until: int, points: int = 30) -> dict[Key, list[Point]]:
        """Numbers (Unix time, value) of some findings or metrics, oldest first, over the last ``points`` runs."""
        wanted = set(keys)
        with self._told("read"), self._engine.connect() as connection:
            hosts = schema.host
            host_id = connection.execute(select(hosts.c.id).where(hosts.c.name == host)).scalar()
            if host_id is None or not wanted:
                return {}
            ids = {
                series_id: key
                for (_host, *rest), series_id in questions.series(connection, [host_id]).items()
                if (key := (rest[0], rest[1])) in wanted
            }
            found: dict[Key, list[Point]] = {}
            for series_id, at, value in questions.points(connection, host_id, list(ids), until=until, runs=points):
                found.setdefault(ids[series_id], []).append((at, value))
            return found

    def run_times(self) -> dict[str, list[Point]]:
        """For every cadence, its runs (Unix time, hosts), newest first, at most 100."""
        with self._told("read"), self._engine.connect() as connection:
            return questions.run_times(connection, limit=100)

    def looks(self, facts: RunFacts, since: Mapping[str, int]) -> dict[str, list[int]]:
        """When hosts were looked at before this run of the cadence, each since its moment, oldest first."""
        with self._told("read"), self._engine.connect() as connection:
            return questions.looks(connection, since, facts.cadence, before=facts.at)

    def hosts_since(self, cadence: str, at: int) -> int:
        """How many hosts have had a run of a cadence since a moment."""
        table = schema.host_run
        with self._told("read"), self._engine.connect() as connection:
            statement = select(func.count(func.distinct(table.c.host_id))).where(
                table.c.cadence == cadence, table.c.at >= at
            )
            return int(connection.execute(statement).scalar_one())

    # --- dialects --------------------------------------------------------------------------------------------

    def _dialect_insert(self, table: Table) -> Any:
        return self._dialect.insert(table)

    def _upsert(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        statement = self._dialect_insert(table)
        keys = [column.name for column in table.primary_key]
        others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        statement = statement.on_conflict_do_update(index_elements=keys, set_=others)
        for start in range(0, len(rows), _ROWS):
            connection.execute(statement, list(rows[start : start + _ROWS]))


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    for start in range(0, len(rows), _ROWS):
        connection.execute(insert(table), list(rows[start : start + _ROWS]))


def _show(view: HostView, result: Comparison) -> None:
    for entry in view.entries:
        entry.change = result.changes.get(entry.key)
    view.gone = [
        Entry(
            check=key[0],
            item=key[1],
            status=before.status,
            summary=f"was {before.standing}; it is no longer there",
            module=before.module,
            change=result.changes[key],
        )
        for key, before in sorted(result.gone.items())
        if result.changes[key].kind == "gone"
    ]

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making and removing one index online: of a partitioned table part by part, and with the exact way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import (
    Effect,
    NotNeeded,
    Step,
    Unachieved,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session, driver
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_definition import (
    Definition,
    statement,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_facts import (
    Family,
    Index,
    indexes_of,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_plan import Wanted, is_equal
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_watch import watched
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.online import (
    Limits,
    in_the_way,
    too_much,
    worded,
    work,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_budget import Allowance

#: Seconds to wait for a lock that makes everybody else wait behind it.
SHORT_LOCK = 2.0
# Everything that the catalog knows of an index and its definition does not tell.
_UNDO = """
SELECT pg_get_indexdef(i.indexrelid) AS definition,
       CASE WHEN parent.oid IS NOT NULL
            THEN format('ALTER INDEX %%I.%%I ATTACH PARTITION %%I.%%I', pn.nspname, parent.relname, n.nspname,
                        c.relname) END AS attached,
       CASE WHEN ts.oid IS NOT NULL
            THEN format('ALTER INDEX %%I.%%I SET TABLESPACE %%I', n.nspname, c.relname, ts.spcname) END AS placed,
       CASE WHEN i.indisclustered
            THEN format('ALTER TABLE %%I.%%I CLUSTER ON %%I', n.nspname, t.relname, c.relname) END AS clustered,
       CASE WHEN obj_description(c.oid, 'pg_class') IS NOT NULL
            THEN format('COMMENT ON INDEX %%I.%%I IS %%L', n.nspname, c.relname, obj_description(c.oid, 'pg_class'))
        END AS comment,
       ARRAY(SELECT format('ALTER INDEX %%I.%%I ALTER COLUMN %%s SET STATISTICS %%s', n.nspname, c.relname, a.attnum,
                           a.attstattarget)
               FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0 ORDER BY a.attnum) AS targets
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_tablespace ts ON ts.oid = nullif(c.reltablespace, 0)
  LEFT JOIN pg_inherits h ON h.inhrelid = c.oid
  LEFT JOIN pg_class parent ON parent.oid = h.inhparent
  LEFT JOIN pg_namespace pn ON pn.oid = parent.relnamespace
 WHERE i.indexrelid = ANY (%(oids)s::oid[])
 ORDER BY array_position(%(oids)s::bigint[], i.indexrelid::bigint)
"""
_PARTS = """
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind
  FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE h.inhparent = %s ORDER BY c.oid
"""


@dataclass(frozen=True)
class Part:
    """A table, or a partition of one."""

    oid: int
    schema: str
    name: str
    kind: str


def undo_of(session: Session, family: Family) -> list[str]:
    """The statements that bring an index back exactly as it is, with those of its partitions."""
    rows = session.rows(_UNDO, {"oids": list(family.oids)})
    first = [row["definition"] for row in rows]
    # The one of the partitioned table is made first, and becomes valid with the last part that is attached.
    attached = [row["attached"] for row in reversed(rows) if row["attached"]]
    rest = [row[name] for row in rows for name in ("placed", "clustered", "comment") if row[name]]
    return [*first, *attached, *rest, *(target for row in rows for target in row["targets"])]


def parts_of(session: Session, table: int) -> list[Part]:
    return [Part(**row) for row in session.rows(_PARTS, (table,))]


@dataclass
class Doer:
    """Does the one step. ``after`` is the index as it is then, None where it is gone."""

    session: Session
    server: Server
    wanted: Wanted
    definition: Definition | None
    table: Part
    family: Family | None
    limits: Limits
    lag: int
    pressure: float
    after: Index | None = None

    def __call__(self, step: Step) -> Effect:
        """Raises MaintenanceError where it does not become as it should be."""
        if self.table.kind != "p":
            waiting = in_the_way(self.session, table=self.table.oid, patience=self.limits.lock_timeout)
            if waiting:
                raise NotNeeded(waiting)
        if step.action == "drop":
            return self._drop()
        stressed = too_much(self.session, self.server, lag=self.lag, pressure=self.pressure)
        if stressed:
            raise NotNeeded(stressed)
        with watched(self.session, self.server, Allowance(lag=self.lag, pressure=self.pressure)):
            return self._reindex() if step.action == "reindex" else self._create()

    def _named(self, schema: str, name: str) -> Index | None:
        found = indexes_of(self.session, table=self.table.oid)
        return next((one for one in found if (one.schema, one.name) == (schema, name)), None)

    def _create(self) -> Effect:
        if self.definition is None or self.wanted.definition is None:
            raise AssertionError("an index is made by its definition")
        adopted: list[Index] = []
        builder = Builder(self.session, self.wanted.definition, self.limits, adopted)
        begun = self._named(self.wanted.schema, self.wanted.name)
        if begun is not None and begun.kind == "I" and not begun.valid:
            builder.complete(begun, self.definition, self.table)
        else:
            builder.build(self.definition, self.table, name=self.wanted.name)
        self.after = self._named(self.wanted.schema, self.wanted.name)
        if self.after is None or not self.after.valid:
            raise Unachieved(f"{self.wanted.schema}.{self.wanted.name} was made and is not valid.")
        before = self._facts(begun) if begun else {"present": False}
        return Effect(before=before, after={**self._facts(self.after), "undo": self._way_back(adopted)})

    def _way_back(self, adopted: Sequence[Index]) -> list[str]:
        """What removes it again; the indexes of partitions that it took over go with it and have to come back."""
        online = "" if self.table.kind == "p" else "CONCURRENTLY "
        words = self.session.row(
            "SELECT format('DROP INDEX %%s%%I.%%I', %s::text, %s::text, %s::text) AS words",
            (online, self.wanted.schema, self.wanted.name),
        )["words"]
        definitions = [
            self.session.row("SELECT pg_get_indexdef(%s::oid) AS words", (one.oid,))["words"] for one in adopted
        ]
        return [words, *definitions]

    def _reindex(self) -> Effect:
        before = self._named(self.wanted.schema, self.wanted.name)
        if before is None or before.valid:
            raise NotNeeded("it is valid by now" if before else "it is no longer there")
        rebuilding = worded("REINDEX INDEX CONCURRENTLY {}", before.schema, before.name)
        work(self.session, rebuilding, table=self.table.oid, limits=self.limits)
        self.after = self._named(self.wanted.schema, self.wanted.name)
        if self.after is None or not self.after.valid:
            raise Unachieved(f"{before.label} was rebuilt and is not valid.")
        return Effect(before=self._facts(before), after=self._facts(self.after))

    def _drop(self) -> Effect:
        if self.family is None:
            raise AssertionError("an index is dropped that is there")
        index = self.family.root
        now = self._named(index.schema, index.name)
        if now is None or now.oid != index.oid:
            raise NotNeeded("it is no longer there, or not the same")
        undo = undo_of(self.session, self.family)
        before = {**self._facts(now), "bytes": self.family.bytes, "undo": undo}
        online = index.kind != "I"
        words = "DROP INDEX CONCURRENTLY {}" if online else "DROP INDEX {}"
        # The server drops that of a partitioned table under a full lock only.
        patience = self.limits.lock_timeout if online else min(SHORT_LOCK, self.limits.lock_timeout)
        self.session.set(lock_timeout=patience, statement_timeout=self.limits.seconds)
        try:
            self.session.execute(worded(words, index.schema, index.name))
        except MaintenanceError as error:
            self._half_dropped(index, undo, error)
            raise
        if self._named(index.schema, index.name) is not None:
            raise Unachieved(f"{index.label} was dropped and is there again.")
        return Effect(before=before, after={"present": False})

    def _half_dropped(self, index: Index, undo: Sequence[str], error: MaintenanceError) -> None:
        """An index that is no longer valid, because its dropping broke off, has been changed. Raises Unachieved."""
        if self.session.broken:
            return
        now = self._named(index.schema, index.name)
        if now is not None and index.valid and not now.valid:
            raise Unachieved(
                f"{error.message} {index.label} is invalid now: the next run ends its dropping. The way back: "
                f"DROP INDEX, then {'; '.join(undo)}."
            ) from error

    def _facts(self, index: Index) -> dict[str, Any]:
        words = self.session.row("SELECT pg_get_indexdef(%s::oid) AS words", (index.oid,))["words"]
        return {"present": True, "valid": index.valid, "bytes": index.bytes, "definition": words}


@dataclass
class Builder:
    """Makes an index of a table, and of a partitioned one part by part; ``adopted`` were there and became parts."""

    session: Session
    like: Index
    limits: Limits
    adopted: list[Index]

    def build(self, definition: Definition, table: Part, *, name: str = "") -> Index:
        """Raises QueryError, ConnectError; what it made until then is gone again."""
        before = {index.oid for index in indexes_of(self.session, table=table.oid)}
        on = (table.schema, table.name)
        if table.kind != "p":
            made = statement(definition, on=on, name=name, online=True)
            work(self.session, made, table=table.oid, limits=self.limits, single=True)
            return self._new(table, before)
        self.session.set(lock_timeout=min(SHORT_LOCK, self.limits.lock_timeout))
        self.session.execute(statement(definition, on=on, name=name, only=True), single=True)
        whole = self._new(table, before)
        try:
            for part in parts_of(self.session, table.oid):
                self._attach(whole, definition, part)
        except BaseException:
            self._drop(whole)
            raise
        return whole

    def complete(self, whole: Index, definition: Definition, table: Part) -> None:
        """Make the parts that an index of a partitioned table lacks; what it has of them stays whatever happens."""
        for part in parts_of(self.session, table.oid):
            known = indexes_of(self.session, table=part.oid)
            own = next((one for one in known if one.parent == whole.oid), None)
            if own is None:
                self._attach(whole, definition, part)
            elif own.kind == "I" and not own.valid:
                self.complete(own, replace(definition, schema=part.schema, table=part.name), part)

    def _attach(self, whole: Index, definition: Definition, part: Part) -> None:
        known = indexes_of(self.session, table=part.oid)
        like = replace(self.like, table_oid=part.oid)
        child = next((one for one in known if one.valid and one.parent is None and is_equal(one, like)), None)
        own = child is None
        if child is None:
            child = self.build(replace(definition, schema=part.schema, table=part.name), part)
        else:
            self.adopted.append(child)
        sql = driver().sql
        attaching = sql.SQL("ALTER INDEX {} ATTACH PARTITION {}").format(
            sql.Identifier(whole.schema, whole.name), sql.Identifier(child.schema, child.name)
        )
        self.session.set(lock_timeout=min(SHORT_LOCK, self.limits.lock_timeout))
        try:
            self.session.execute(attaching)
        except MaintenanceError:
            if own:
                self._drop(child)
            raise

    def _new(self, table: Part, before: set[int]) -> Index:
        return max(
            (one for one in indexes_of(self.session, table=table.oid) if one.oid not in before),
            key=lambda one: one.oid,
        )

    def _drop(self, index: Index) -> None:
        if self.session.broken:
            return
        self.session.set(lock_timeout=min(SHORT_LOCK, self.limits.lock_timeout))
        self.session.execute(worded("DROP INDEX {}", index.schema, index.name))

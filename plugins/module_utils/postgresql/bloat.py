# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Space that tables and indexes hold without need: estimated for all, and measured for the worst."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, number, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.bloat_estimate import (
    Relation,
    large_heaps,
    large_trees,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    QueryError,
    Session,
    driver,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Topic, View
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.worst import Candidate, tell

CHECKS = (
    Check(
        "postgresql.table_bloat",
        "Space that tables hold without need",
        "The share of a table (or of its TOAST) that dead rows and free space take up, for those that waste at least "
        "bloat_floor. It is estimated from the columns' statistics; where the extension pgstattuple is installed, the "
        "worst are measured. Up to a fifth or so is normal, for autovacuum lets dead rows gather before it comes.",
        "New rows will use the space. To give it back, rewrite the table: pg_repack does so online, "
        "fleetcare.maintenance.postgresql_vacuum with the table under full locks it meanwhile. Let autovacuum come "
        "sooner (autovacuum_vacuum_scale_factor of the table).",
        "pg_class, pg_stats, pgstattuple_approx()",
        "%",
        Levels(info=30, warning=50),
    ),
    Check(
        "postgresql.index_bloat",
        "Space that indexes hold without need",
        "The share of a b-tree that would be free if it were built anew, for those that waste at least bloat_floor. "
        "Estimated from the columns' statistics; where the extension pgstattuple is installed, the worst are measured. "
        "About a third is normal for keys that come in no order.",
        "Build it anew without locking: fleetcare.maintenance.postgresql_reindex.",
        "pg_class, pg_stats, pgstatindex()",
        "%",
        Levels(info=50, warning=70),
    ),
)

_FUNCTIONS = """
SELECT n.nspname::text AS schema, p.proname::text AS name,
       has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE') AS allowed
  FROM pg_extension e
  JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
                  AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  JOIN pg_proc p ON p.oid = d.objid AND p.proargtypes[0] = 'regclass'::regtype
  JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE e.extname = 'pgstattuple' AND p.proname = %s
"""
_HEAP = """
SELECT table_len::bigint AS bytes, (dead_tuple_len + approx_free_space)::bigint AS wasted
  FROM {}.pgstattuple_approx(%s::oid::regclass)
"""
# A page that is being given back is free already; what leaves have, but do not fill, is counted against their density.
_TREE = """
SELECT index_size::bigint AS bytes,
       greatest(0, (leaf_pages + empty_pages + deleted_pages) * current_setting('block_size')::float8
                - leaf_pages * (current_setting('block_size')::float8 - 40)
                  * CASE WHEN leaf_pages > 0 THEN avg_leaf_density ELSE 0 END / %s)::bigint AS wasted
  FROM {}.pgstatindex(%s::oid::regclass)
"""


@dataclass(frozen=True)
class Bloat:
    """A relation and what it wastes; ``measured`` or else estimated."""

    relation: Relation
    bytes: int
    wasted: int
    measured: bool = False

    @property
    def share(self) -> float:
        return min(100.0, 100.0 * self.wasted / self.bytes) if self.bytes else 0.0

    @property
    def words(self) -> str:
        how = "measured" if self.measured else "estimated"
        of = f" of {self.relation.main}" if self.relation.kind == "index" else ""
        wasted = f"{quantity(self.wasted, 'B')} of {quantity(self.bytes, 'B')} wasted"
        return f"{self.relation.label}{of}: {number(round(self.share, 1))} %, {wasted} ({how})"


@dataclass(frozen=True)
class Found:
    """What a database's large relations waste. ``unknown`` have no statistics, those of ``hidden`` may not be read.

    ``unmeasured`` says why the worst could not be measured, with ``remedy``; empty where nothing stood in the way.
    """

    bloats: tuple[Bloat, ...] = ()
    unknown: tuple[Relation, ...] = ()
    hidden: tuple[Relation, ...] = ()
    unmeasured: str = ""
    remedy: str = ""


def collect_table_bloat(session: Session, server: Server, settings: Settings) -> Found:
    relations = large_heaps(session, least=settings.bloat_floor, block=server.block_size)
    return _look(session, server, settings, relations, function="pgstattuple_approx", query=_HEAP)


def collect_index_bloat(session: Session, server: Server, settings: Settings) -> Found:
    relations = large_trees(session, least=settings.bloat_floor, block=server.block_size)
    return _look(session, server, settings, relations, function="pgstatindex", query=_TREE)


def _look(
    session: Session, server: Server, settings: Settings, relations: Sequence[Relation], *, function: str, query: str
) -> Found:
    """Estimate all, then measure the worst of them, and those that cannot be estimated."""
    found = sort_out(relations)
    wanted = to_measure(found, settings)
    if not wanted:
        return found
    functions = session.rows(_FUNCTIONS, (function,))
    if not functions:
        return replace(
            found,
            unmeasured="the extension pgstattuple, which would measure it, is not installed in this database",
            remedy="CREATE EXTENSION pgstattuple",
        )
    if not functions[0]["allowed"]:
        return replace(
            found,
            unmeasured=f"this login may not execute {function}() to measure it",
            remedy=server.grant("pg_stat_scan_tables"),
        )
    return _measure(session, settings, found, wanted, query=query, schema=functions[0]["schema"])


def sort_out(relations: Sequence[Relation]) -> Found:
    """What each relation wastes by its statistics, where it has some that this login may see."""
    bloats: list[Bloat] = []
    unknown: list[Relation] = []
    hidden: list[Relation] = []
    for relation in relations:
        wasted = relation.wasted
        if wasted is not None:
            bloats.append(Bloat(relation, relation.bytes, wasted))
        else:
            (unknown if relation.allowed else hidden).append(relation)
    return Found(tuple(bloats), tuple(unknown), tuple(hidden))


def to_measure(found: Found, settings: Settings) -> list[Relation]:
    """The worst of those small enough to be read, and after them the largest of which nothing is known."""
    worst = sorted(found.bloats, key=lambda bloat: -bloat.wasted)
    wasteful = [bloat.relation for bloat in worst if bloat.wasted >= settings.bloat_floor]
    others = sorted((*found.unknown, *found.hidden), key=lambda relation: -relation.bytes)
    fitting = [relation for relation in (*wasteful, *others) if relation.bytes <= settings.bloat_size]
    return fitting[: settings.bloat_tables]


def _measure(
    session: Session, settings: Settings, found: Found, wanted: Sequence[Relation], *, query: str, schema: str
) -> Found:
    sql = driver().sql
    worded = sql.SQL(query).format(sql.Identifier(schema))
    clock = Clock()
    until = clock.monotonic() + settings.bloat_seconds
    measured: dict[int, Bloat] = {}
    unmeasured = ""
    try:
        for relation in wanted:
            left = until - clock.monotonic()
            if left < 0.1:
                unmeasured = f"the {settings.bloat_seconds:g} s for measuring have passed"
                break
            session.set(statement_timeout=min(left, session.login.statement_timeout))
            try:
                measured[relation.oid] = _measured(session, worded, relation)
            except QueryError as error:
                if error.is_late:
                    unmeasured = f"the {settings.bloat_seconds:g} s for measuring have passed"
                    break
                # Somebody has it locked, or it is gone by now; the estimate stands.
                unmeasured = f"{relation.label} could not be measured: {error.message}"
    finally:
        if not session.broken:
            session.set(statement_timeout=session.login.statement_timeout)
    return with_measured(found, measured, unmeasured)


def _measured(session: Session, query: Any, relation: Relation) -> Bloat:
    if relation.kind == "index":
        row = session.row(query, (relation.fill or 90, relation.oid))
        return Bloat(relation, row["bytes"], row["wasted"], measured=True)
    row = session.row(query, (relation.oid,))
    # What the fillfactor keeps free is not wasted.
    kept = row["bytes"] * (100 - (relation.fill or 100)) // 100
    return Bloat(relation, row["bytes"], max(0, row["wasted"] - kept), measured=True)


def with_measured(found: Found, measured: dict[int, Bloat], unmeasured: str) -> Found:
    """The estimates with the measurements in their places."""
    left = {bloat.relation.oid: bloat for bloat in found.bloats}
    return Found(
        bloats=tuple({**left, **measured}.values()),
        unknown=tuple(relation for relation in found.unknown if relation.oid not in measured),
        hidden=tuple(relation for relation in found.hidden if relation.oid not in measured),
        unmeasured=unmeasured,
    )


def table_bloat(view: View) -> Iterator[Answer]:
    yield from _bloat(view, "postgresql.table_bloat", "table_bloat", "table")


def index_bloat(view: View) -> Iterator[Answer]:
    yield from _bloat(view, "postgresql.index_bloat", "index_bloat", "b-tree index")


def _bloat(view: View, check: str, part: str, what: str) -> Iterator[Answer]:
    floor = quantity(view.settings.bloat_floor, "B")
    for database, found in view.in_databases(part):
        yield from _told(view, check, database, found, what=what, floor=floor)
        total = sum(bloat.wasted for bloat in found.bloats)
        yield Metric(f"{check}_bytes", view.item(database), total, "B")
    yield from view.absences(check, part)


def _told(view: View, check: str, database: str, found: Found, *, what: str, floor: str) -> Iterator[Answer]:
    plural = f"{what}s" if what == "table" else "b-tree indexes"
    looked_at = f"{counted(len(found.bloats), what, plural)} of at least {floor} looked at"
    candidates = [
        Candidate(
            view.item(database, bloat.relation.label),
            bloat.share,
            bloat.words,
            note=bloat.words + (f"; {found.unmeasured}" if found.unmeasured and not bloat.measured else ""),
        )
        for bloat in found.bloats
        if bloat.wasted >= view.settings.bloat_floor
    ]
    item = view.item(database)
    if found.bloats or not (found.hidden or found.unknown):
        nothing = f"none wastes {floor} or more; {looked_at}"
        yield from tell(view, check, item, candidates, "highest share wasted", each="wasted", nothing=nothing)
    yield from _not_told(view, check, database, found, what=what, plural=plural)


def _not_told(view: View, check: str, database: str, found: Found, *, what: str, plural: str) -> Iterator[Answer]:
    """What has neither an estimate nor a measurement, in one finding for each reason."""
    reasons = (
        ("hidden", found.hidden, "that this login may not look at", found.remedy or "CREATE EXTENSION pgstattuple"),
        ("unknown", found.unknown, "without statistics of all columns, so that nobody knows", "VACUUM (ANALYZE)"),
    )
    for name, relations, reason, remedy in reasons:
        if relations:
            largest = sorted(relations, key=lambda relation: -relation.bytes)
            yield view.state(
                check,
                view.item(database, f"({name})"),
                "skipped",
                f"{counted(len(relations), what, plural)} of {database} {reason}",
                evidence=[f"{relation.label}: {quantity(relation.bytes, 'B')}" for relation in largest],
                remedy=remedy,
            )


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.table_bloat": (table_bloat, ("table_bloat",)),
        "postgresql.index_bloat": (index_bloat, ("index_bloat",)),
    },
    database={"table_bloat": collect_table_bloat, "index_bloat": collect_index_bloat},
)

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vacuum and analyze: what is due, for how long it has not been done, what has no statistics, who is switched off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import (
    Limits,
    Table,
    collect_limits,
    collect_tables,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unmeasured import (
    Unmeasured,
    collect_unmeasured,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_need import (
    FREEZING,
    Need,
    Urge,
    needs,
    switched_off,
    waiting_for_vacuum,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Topic, View

_REPAIR = "Run fleetcare.maintenance.postgresql_vacuum in a window"
CHECKS = (
    Check(
        "postgresql.vacuum_due",
        "Vacuum behind its schedule",
        "How far the table that needs vacuum most is past the point where autovacuum acts: dead or newly inserted "
        "rows as a share of the threshold (the table's own settings, TOAST and the server's version counted in). Up "
        "to about 100 % is normal; well above it autovacuum is off or does not keep up. Of small tables 5,000 rows "
        "may wait.",
        f"{_REPAIR}; where it comes back, give autovacuum more speed (autovacuum_vacuum_cost_limit, "
        "autovacuum_max_workers) and see who holds the horizon (postgresql.xmin_horizon).",
        "pg_stat_all_tables.n_dead_tup, n_ins_since_vacuum",
        "%",
        Levels(warning=200, critical=1000),
    ),
    Check(
        "postgresql.analyze_due",
        "Analyze behind its schedule",
        "The same for analyze: rows changed since the last one as a share of the threshold, of the table that needs it "
        "most. The planner goes by statistics that no longer fit. Partitioned tables, which autovacuum never "
        "analyzes, count with what has changed in their partitions.",
        f"{_REPAIR}; it analyzes what has changed enough and nothing else.",
        "pg_stat_all_tables.n_mod_since_analyze",
        "%",
        Levels(warning=200, critical=1000),
    ),
    Check(
        "postgresql.statistics_missing",
        "Tables without statistics",
        "Tables with rows of which a column, an index expression or an extended statistics object has never been "
        "measured, as after a restore or pg_upgrade. The planner guesses. A login that may not read pg_statistic sees "
        "only tables that nobody has analyzed at all.",
        f"{_REPAIR}: it analyzes the tables that lack statistics.",
        "pg_statistic",
        "",
        Levels(warning=1),
    ),
    Check(
        "postgresql.vacuum_age",
        "Longest without vacuum",
        "How long ago the last vacuum of a table was that has been written to since: at least 1,000 rows and 1 % of "
        "it. A table that nobody writes to does not count, nor one of the system catalog.",
        f"{_REPAIR}, or lower the table's autovacuum_vacuum_scale_factor.",
        "pg_stat_all_tables.last_vacuum, last_autovacuum",
        "d",
        Levels(info=45, warning=120),
    ),
    Check(
        "postgresql.analyze_age",
        "Longest without analyze",
        "How long ago the last analyze of a table was that has been written to since: at least 1,000 rows and 1 % of "
        "it. A table that nobody writes to does not count, nor one of the system catalog.",
        f"{_REPAIR}, or lower the table's autovacuum_analyze_scale_factor.",
        "pg_stat_all_tables.last_analyze, last_autoanalyze",
        "d",
        Levels(info=45, warning=120),
    ),
    Check(
        "postgresql.autovacuum_off",
        "Autovacuum is on",
        "Whether the server vacuums by itself, counts what it goes by (track_counts), and which tables have it "
        "switched off by their storage parameters.",
        "Set autovacuum = on and track_counts = on and reload; ALTER TABLE ... RESET (autovacuum_enabled) where "
        "nobody else vacuums the table.",
        "pg_settings, pg_class.reloptions",
    ),
    Check(
        "postgresql.autovacuum_workers",
        "Autovacuum workers in use",
        "How many of the workers that autovacuum may have are at work. All of them, run after run, means that it does "
        "not keep up.",
        "Let each work faster first (autovacuum_vacuum_cost_limit up, autovacuum_vacuum_cost_delay down), for more "
        "workers share the same limit; then raise autovacuum_max_workers.",
        "pg_stat_activity",
        "%",
        Levels(warning=100, runs=3),
    ),
    Check(
        "postgresql.vacuum_running",
        "Longest running vacuum",
        "How long the oldest VACUUM has been at work, by hand or by autovacuum. The evidence says of each how far it "
        "is.",
        "See what it waits for; more maintenance_work_mem (autovacuum_work_mem) spares it passes over the indexes.",
        "pg_stat_progress_vacuum",
        "s",
        Levels(warning=43200),
    ),
)

_RUNNING = """
SELECT a.pid, a.datname::text AS database, a.backend_type = 'autovacuum worker' AS automatic,
       CASE WHEN p.datname = current_database() THEN c.oid::regclass::text END AS name, p.relid::bigint AS oid,
       p.phase, p.heap_blks_total AS pages, p.heap_blks_scanned AS scanned, p.index_vacuum_count AS passes,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds
  FROM pg_stat_progress_vacuum p JOIN pg_stat_activity a ON a.pid = p.pid LEFT JOIN pg_class c ON c.oid = p.relid
"""
_WORKERS = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker') AS busy,
       current_setting('autovacuum_max_workers')::int AS most
"""
_SHOWN = 10
#: So many rows may wait in a table however small it is: until autovacuum comes by, a minute passes.
_FLOOR = 5000
#: A table counts as written to from so many rows, and from this share of its rows.
_WRITTEN, _WRITTEN_SHARE = 1000, 0.01


@dataclass(frozen=True)
class Progress:
    """A VACUUM at work. ``name`` is None where it works in another database than the one that was asked."""

    pid: int
    database: str | None
    automatic: bool
    name: str | None
    oid: int
    phase: str
    pages: int
    scanned: int
    passes: int
    seconds: float | None

    @property
    def words(self) -> str:
        """``pid 7 autovacuum of public.orders in shop: scanning heap, 43 % of 1200 pages, 1 pass over its indexes``."""
        share = 100 * self.scanned // self.pages if self.pages else 0
        passes = f", {counted(self.passes, 'pass', 'passes')} over its indexes" if self.passes else ""
        return clean(
            f"pid {self.pid} {'autovacuum' if self.automatic else 'VACUUM'} of {self.name or f'oid {self.oid}'} in "
            f"{self.database}: {self.phase}, {share} % of {counted(self.pages, 'page')} scanned{passes}, "
            f"for {duration(max(0.0, self.seconds or 0.0))}"
        )


@dataclass(frozen=True)
class Running:
    vacuums: tuple[Progress, ...]
    busy: int
    most: int


def collect_running(session: Session, server: Server, _settings: Settings) -> Running:
    if not server.monitors:
        raise Absent("this login sees its own sessions alone", remedy=server.grant())
    return Running(tuple(Progress(**row) for row in session.rows(_RUNNING)), **session.row(_WORKERS))


def vacuum_due(view: View) -> Iterator[Answer]:
    yield from _due(view, "postgresql.vacuum_due", "vacuum most behind", lambda need: need.vacuum)


def analyze_due(view: View) -> Iterator[Answer]:
    yield from _due(view, "postgresql.analyze_due", "analyze most behind", lambda need: need.analyze)


def _due(view: View, check: str, phrase: str, urges: Callable[[Need], tuple[Urge, ...]]) -> Iterator[Answer]:
    limits = _limits(view)
    for database, tables in _tables(view):
        needed = view.once(f"needs of {database}", partial(needs, tables, limits))
        found = [(_behind(urge), urge, need.table) for need in needed for urge in urges(need)]
        # Age has a check of its own, which knows that it is normal to reach the limit.
        found = [entry for entry in found if entry[1].cause not in FREEZING and entry[1].due()]
        found.sort(key=lambda entry: (-entry[0], entry[2].oid))
        due = len({table.oid for _share, _urge, table in found})
        lines = [f"{table.label}: {urge.words}{_least(urge)}" for _share, urge, table in found[:_SHOWN]]
        past = f"{counted(due, 'table')} of {len(tables)} past the threshold"
        yield from view.measure(
            check,
            view.item(database),
            found[0][0] if found else 0.0,
            phrase,
            note=f"{lines[0]}; {past}" if lines else past,
            evidence=lines,
        )
        yield Metric(f"{check}_tables", view.item(database), due)
    yield from view.absences(check, "tables")


def _behind(urge: Urge) -> float:
    return 100.0 * urge.value / max(urge.threshold, _FLOOR)


def _least(urge: Urge) -> str:
    """What the share is reckoned with where it is not the threshold."""
    return f" (taken as {_FLOOR})" if urge.threshold < _FLOOR else ""


def statistics_missing(view: View) -> Iterator[Answer]:
    check = "postgresql.statistics_missing"
    by_database = dict(_tables(view))
    for database, unmeasured in view.in_databases("unmeasured"):
        tables = [table for table in by_database.get(database, ()) if unmeasured.of(table)]
        tables.sort(key=lambda table: (-table.heap_bytes, table.oid))
        yield from view.measure(
            check,
            view.item(database),
            len(tables),
            "tables without statistics",
            note="" if unmeasured.exact else "only tables that were never analyzed could be seen, not single columns",
            evidence=[_missing(table, unmeasured) for table in tables[:_SHOWN]],
        )
    yield from view.absences(check, "unmeasured")


def _missing(table: Table, unmeasured: Unmeasured) -> str:
    amount = unmeasured.of(table)
    what = Urge("unmeasured", amount, 0).words if unmeasured.exact else "never analyzed"
    return f"{table.label}: {what}"


def vacuum_age(view: View) -> Iterator[Answer]:
    yield from _age(view, "postgresql.vacuum_age", "longest without vacuum", _last_vacuum)


def analyze_age(view: View) -> Iterator[Answer]:
    yield from _age(view, "postgresql.analyze_age", "longest without analyze", _last_analyze)


def _last_vacuum(table: Table) -> tuple[int, datetime | None]:
    return waiting_for_vacuum(table), table.vacuumed


def _last_analyze(table: Table) -> tuple[int, datetime | None]:
    return (0 if table.kind == "t" else table.modified_since_analyze), table.analyzed


def _age(view: View, check: str, phrase: str, look: Callable[[Table], tuple[int, datetime | None]]) -> Iterator[Answer]:
    _limits(view)
    for database, tables in _tables(view):
        aged: list[tuple[float, int, Table]] = []
        never: list[tuple[int, Table]] = []
        for table in tables:
            written, last = look(table)
            if table.system or table.is_temporary or written < max(_WRITTEN, table.rows * _WRITTEN_SHARE):
                continue
            if last is None:
                never.append((written, table))
            else:
                aged.append(((view.cluster.now - last).total_seconds() / 86400, written, table))
        aged.sort(key=lambda entry: (-entry[0], entry[2].oid))
        never.sort(key=lambda entry: (-entry[0], entry[1].oid))
        # The counters do not go back to the beginning: after a crash the server starts them anew.
        untold = f"; {counted(len(never), 'table')} never, as far back as the counters go" if never else ""
        yield from view.measure(
            check,
            view.item(database),
            max(0.0, aged[0][0]) if aged else 0.0,
            phrase,
            note=f"{counted(len(aged) + len(never), 'table')} written to since{untold}",
            evidence=[
                *(
                    f"{table.label}: {duration(age * 86400)} ago, {counted(written, 'row')} since"
                    for age, written, table in aged[:_SHOWN]
                ),
                *(f"{table.label}: never, {counted(written, 'row')} since" for written, table in never[:_SHOWN]),
            ],
        )
    yield from view.absences(check, "tables")


def autovacuum_off(view: View) -> Iterator[Answer]:
    check = "postgresql.autovacuum_off"
    limits: Limits = view.part("autovacuum")
    off = [name for name, value in (("autovacuum", limits.enabled), ("track_counts", limits.counted)) if not value]
    if off:
        summary = f"the server does not vacuum by itself: {' and '.join(off)} off"
        yield view.state(check, view.place, "warning", summary)
    else:
        yield view.state(check, view.place, "ok", "autovacuum is on")
    for database, tables in _tables(view):
        left_out = [table for table in tables if not table.is_temporary and switched_off(table)]
        left_out.sort(key=lambda table: (-table.total_bytes, table.oid))
        if left_out:
            yield view.state(
                check,
                view.item(database),
                "info",
                f"autovacuum is switched off for {counted(len(left_out), 'table')}",
                evidence=[table.label for table in left_out],
            )


def autovacuum_workers(view: View) -> Iterator[Answer]:
    running: Running = view.part("vacuums")
    yield from view.measure(
        "postgresql.autovacuum_workers",
        view.place,
        100.0 * running.busy / max(1, running.most),
        "autovacuum workers in use",
        note=f"{running.busy} of {running.most}",
        evidence=[one.words for one in running.vacuums if one.automatic][:_SHOWN],
    )


def vacuum_running(view: View) -> Iterator[Answer]:
    running: Running = view.part("vacuums")
    vacuums = sorted(running.vacuums, key=lambda one: -(one.seconds or 0.0))
    yield from view.measure(
        "postgresql.vacuum_running",
        view.place,
        max(0.0, vacuums[0].seconds or 0.0) if vacuums else 0.0,
        "longest running vacuum",
        note=f"{len(vacuums)} running",
        evidence=[one.words for one in vacuums[:_SHOWN]],
    )


def _limits(view: View) -> Limits:
    """The thresholds. Raises Absent where nobody counts what they are compared with."""
    if view.cluster.server.in_recovery:
        raise Absent("a standby neither vacuums nor counts what there is to vacuum; its primary does")
    limits: Limits = view.part("autovacuum")
    if not limits.counted:
        raise Absent("the server does not count what changes", remedy="Set track_counts = on and reload the server.")
    return limits


def _tables(view: View) -> Iterator[tuple[str, Sequence[Table]]]:
    """The tables of each database; those that all share come with the first."""
    first = True
    for database, tables in view.in_databases("tables"):
        yield database, tables if first else [table for table in tables if not table.shared]
        first = False


_NEEDED: Mapping[str, tuple[str, ...]] = {"due": ("tables", "autovacuum"), "missing": ("tables", "unmeasured")}

TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.vacuum_due": (vacuum_due, _NEEDED["due"]),
        "postgresql.analyze_due": (analyze_due, _NEEDED["due"]),
        "postgresql.statistics_missing": (statistics_missing, _NEEDED["missing"]),
        "postgresql.vacuum_age": (vacuum_age, _NEEDED["due"]),
        "postgresql.analyze_age": (analyze_age, _NEEDED["due"]),
        "postgresql.autovacuum_off": (autovacuum_off, _NEEDED["due"]),
        "postgresql.autovacuum_workers": (autovacuum_workers, ("vacuums",)),
        "postgresql.vacuum_running": (vacuum_running, ("vacuums",)),
    },
    cluster={"autovacuum": collect_limits, "vacuums": collect_running},
    database={"tables": collect_tables, "unmeasured": collect_unmeasured},
)

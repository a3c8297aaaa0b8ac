# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read, written and lost since the last run: caches, temporary files, deadlocks, who writes whose pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, duration, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.deltas import (
    Counters,
    Grown,
    grown_by_name,
    plain_by_name,
    total,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Settings,
    Snapshot,
    Topic,
    View,
)

_MIB = 1024**2
#: A ratio of fewer blocks than this says nothing about a cache.
FEWEST_BLOCKS = 10_000
FEWEST_TRANSACTIONS = 1_000
_SHOWN = 20

CHECKS = (
    Check(
        "postgresql.cache_hit",
        "Blocks found in the cache",
        "Share of the blocks that a database asked for since the last run and found in shared_buffers. What the "
        "operating system had in its own cache counts as read here. A database that asked for fewer than 10,000 "
        "blocks is not judged.",
        "Find the statements that read most (postgresql.statements); raise shared_buffers where the working set does "
        "not fit, up to a quarter of the memory.",
        "pg_stat_database.blks_hit, blks_read",
        "%",
        Levels(info=95, warning=90, direction="lower"),
    ),
    Check(
        "postgresql.read_time",
        "Time to read a block",
        "Mean time that a read of a block took since the last run, of the database where it took longest. Needs "
        "track_io_timing.",
        "See what else keeps the disk busy (host.disk_io), and whether a cloud volume has used up its allowance.",
        "pg_stat_database.blk_read_time",
        "ms",
        Levels(warning=10, critical=50),
    ),
    Check(
        "postgresql.temp_files",
        "Temporary files",
        "Bytes a second that sorts and hashes wrote to temporary files since the last run, because they did not fit "
        "into work_mem.",
        "log_temp_files names the statements; raise work_mem for the role or the statement that needs it, not for all.",
        "pg_stat_database.temp_bytes",
        "B/s",
        Levels(info=_MIB, warning=10 * _MIB),
    ),
    Check(
        "postgresql.deadlocks",
        "Deadlocks",
        "Transactions that the server ended since the last run because they waited for each other.",
        "The server's log names both statements; let programs take their locks in one order.",
        "pg_stat_database.deadlocks",
        "",
        Levels(info=1, warning=10),
    ),
    Check(
        "postgresql.rollbacks",
        "Transactions rolled back",
        "Share of all transactions since the last run that were rolled back, of the database with the largest share. "
        "A database with fewer than 1,000 transactions is not judged.",
        "Look for errors in the server's log; some programs end reading with ROLLBACK, then raise the level.",
        "pg_stat_database.xact_rollback",
        "%",
        Levels(info=10, warning=50),
    ),
    Check(
        "postgresql.slru_hit",
        "Small caches",
        "Share of the pages found in the small caches for transaction states, subtransactions, multixacts and the "
        "like since the last run, of the cache where it is lowest. A cache asked fewer than 10,000 times is not "
        "judged.",
        "Long transactions with savepoints fill the cache for subtransactions, many lockers of a row that for "
        "multixacts; PostgreSQL 17 and newer have settings such as subtransaction_buffers.",
        "pg_stat_slru",
        "%",
        Levels(info=95, warning=80, direction="lower"),
    ),
    Check(
        "postgresql.backend_writes",
        "Pages written by sessions",
        "Share of the dirty pages that sessions had to write themselves since the last run, because the background "
        "writer and the checkpointer had not. Bulk work, which writes its own pages by design, does not count.",
        "Raise shared_buffers, or let the background writer do more (bgwriter_lru_maxpages, bgwriter_delay).",
        "pg_stat_io",
        "%",
        Levels(info=30, warning=60),
    ),
    Check(
        "postgresql.backend_fsyncs",
        "Files synced by sessions",
        "How often since the last run a session had to sync a data file itself because the checkpointer's queue was "
        "full. It stalls that session.",
        "Raise shared_buffers (the queue grows with it), and see whether the disk is overloaded.",
        "pg_stat_io, pg_stat_bgwriter",
        "",
        Levels(info=1, warning=100),
    ),
)

_DATABASES = """
SELECT d.datname::text AS database, s.stats_reset AS reset,
       s.xact_commit AS commits, s.xact_rollback AS rollbacks, s.blks_read AS read, s.blks_hit AS hit,
       s.temp_files, s.temp_bytes, s.deadlocks, s.conflicts, s.blk_read_time AS read_ms
  FROM pg_stat_database s JOIN pg_database d ON d.oid = s.datid
 WHERE NOT d.datistemplate
"""
_TIMED = "SELECT current_setting('track_io_timing')::bool AS timed"
_SLRU = "SELECT name, stats_reset AS reset, blks_hit AS hit, blks_read AS read FROM pg_stat_slru"
_IO = """
SELECT backend_type || '/' || context AS name, max(stats_reset) AS reset, sum(coalesce(reads, 0))::float8 AS reads,
       sum(coalesce(writes, 0))::float8 AS writes, sum(coalesce(fsyncs, 0))::float8 AS fsyncs
  FROM pg_stat_io WHERE object = 'relation' GROUP BY backend_type, context
"""
_OLD_FSYNCS = """
SELECT 'client backend/normal' AS name, stats_reset AS reset, buffers_backend_fsync AS fsyncs FROM pg_stat_bgwriter
"""
_SESSION = "client backend/normal"


@dataclass(frozen=True)
class DatabaseCounters:
    """Counters of each database by its name; ``timed``: the server measures how long its reads take."""

    by_name: Mapping[str, Counters]
    timed: bool


def read_counters(row: Mapping[str, Any], *, name: str) -> tuple[str, Counters]:
    """A row of a statistics view: its name, when it was reset, and everything else as a counter."""
    counts = {field: value or 0 for field, value in row.items() if field not in (name, "reset")}
    return row[name], Counters(counts, row["reset"])


def collect_databases(session: Session, _server: Server, settings: Settings) -> DatabaseCounters:
    found = dict(read_counters(row, name="database") for row in session.rows(_DATABASES))
    kept = {
        name: counters
        for name, counters in found.items()
        if not any(fnmatchcase(name, glob) for glob in settings.databases_exclude)
    }
    return DatabaseCounters(kept, session.row(_TIMED)["timed"])


def collect_slru(session: Session, server: Server, _settings: Settings) -> dict[str, Counters]:
    if not server.has("pg_stat_slru"):
        raise Absent("this server has no pg_stat_slru", remedy="PostgreSQL 13 and newer have it.")
    return dict(read_counters(row, name="name") for row in session.rows(_SLRU))


def collect_io(session: Session, server: Server, _settings: Settings) -> dict[str, Counters]:
    if server.has("pg_stat_io"):
        return dict(read_counters(row, name="name") for row in session.rows(_IO))
    if server.has("pg_stat_bgwriter", "buffers_backend_fsync"):
        return dict(read_counters(row, name="name") for row in session.rows(_OLD_FSYNCS))
    raise Absent("this server tells neither in pg_stat_io nor in pg_stat_bgwriter who writes")


def cache_hit(view: View) -> Iterator[Answer]:
    check = "postgresql.cache_hit"
    quiet = 0
    for name, grown in grown_databases(view).items():
        blocks = grown["hit"] + grown["read"]
        if blocks < FEWEST_BLOCKS:
            quiet += 1
            continue
        yield from view.measure(
            check,
            view.item(name),
            100.0 * grown["hit"] / blocks,
            "blocks found in the cache",
            note=f"{grown['hit']:.0f} of {blocks:.0f} {_window(grown)}",
        )
    if quiet:
        yield view.state(
            check,
            view.place,
            "ok",
            f"{counted(quiet, 'database')} asked for fewer than {FEWEST_BLOCKS} blocks since the last run: "
            "too few for a ratio",
        )


def read_time(view: View) -> Iterator[Answer]:
    counters: DatabaseCounters = view.part("database_counters")
    if not counters.timed:
        raise Absent("track_io_timing is off, so nobody knows how long reads take", remedy="Set track_io_timing = on.")
    means = _ranked(
        {name: grown["read_ms"] / grown["read"] for name, grown in grown_databases(view).items() if grown["read"]}
    )
    if not means:
        yield view.state("postgresql.read_time", view.place, "ok", "no database has read a block since the last run")
        return
    yield from view.measure(
        "postgresql.read_time",
        view.place,
        means[0][1],
        f"time to read a block in {means[0][0]}",
        evidence=[f"{name}: {quantity(mean, 'ms')}" for name, mean in means[:_SHOWN]],
    )


def temp_files(view: View) -> Iterator[Answer]:
    databases = grown_databases(view)
    rates = _ranked({name: grown.rate("temp_bytes") for name, grown in databases.items() if grown["temp_bytes"]})
    files = total(databases.values(), "temp_files")
    yield from view.measure(
        "postgresql.temp_files",
        view.place,
        sum(rate for _name, rate in rates),
        "written to temporary files",
        note=f"{counted(round(files), 'file')} since the last run",
        evidence=[
            f"{name}: {quantity(databases[name]['temp_bytes'], 'B')} in {databases[name]['temp_files']:.0f} files"
            for name, _rate in rates[:_SHOWN]
        ],
    )


def deadlocks(view: View) -> Iterator[Answer]:
    ended = _ranked({name: grown["deadlocks"] for name, grown in grown_databases(view).items() if grown["deadlocks"]})
    yield from view.measure(
        "postgresql.deadlocks",
        view.place,
        round(sum(amount for _name, amount in ended)),
        "deadlocks since the last run",
        evidence=[f"{name}: {amount:.0f}" for name, amount in ended[:_SHOWN]],
    )


def rollbacks(view: View) -> Iterator[Answer]:
    check = "postgresql.rollbacks"
    shares: dict[str, float] = {}
    databases = grown_databases(view)
    for name, grown in databases.items():
        transactions = grown["commits"] + grown["rollbacks"]
        if transactions >= FEWEST_TRANSACTIONS:
            shares[name] = 100.0 * grown["rollbacks"] / transactions
    if not shares:
        words = f"no database has had {FEWEST_TRANSACTIONS} transactions since the last run: too few for a ratio"
        yield view.state(check, view.place, "ok", words)
        return
    ranked = _ranked(shares)
    yield from view.measure(
        check,
        view.place,
        ranked[0][1],
        f"transactions rolled back in {ranked[0][0]}",
        evidence=[
            f"{name}: {databases[name]['rollbacks']:.0f} rolled back, {databases[name]['commits']:.0f} committed"
            for name, _share in ranked[:_SHOWN]
        ],
    )


def slru_hit(view: View) -> Iterator[Answer]:
    check = "postgresql.slru_hit"
    caches = grown_by_name(view.part("slru"), view.recall("slru"), now=view.cluster.now)
    shares = {
        name: 100.0 * grown["hit"] / (grown["hit"] + grown["read"])
        for name, grown in caches.items()
        if grown["hit"] + grown["read"] >= FEWEST_BLOCKS
    }
    if not shares:
        words = f"no small cache was asked {FEWEST_BLOCKS} times since the last run: too few for a ratio"
        yield view.state(check, view.place, "ok", words)
        return
    ranked = sorted(shares.items(), key=lambda entry: entry[1])
    yield from view.measure(
        check,
        view.place,
        ranked[0][1],
        f"pages found in the cache {ranked[0][0]}",
        evidence=[
            f"{name}: {quantity(share, '%')}, {caches[name]['read']:.0f} pages read" for name, share in ranked[:_SHOWN]
        ],
    )


def backend_writes(view: View) -> Iterator[Answer]:
    check = "postgresql.backend_writes"
    if not view.cluster.server.has("pg_stat_io"):
        raise Absent("this server has no pg_stat_io to tell who writes", remedy="PostgreSQL 16 and newer have it.")
    writers = {name: grown for name, grown in _io(view).items() if name.endswith("/normal")}
    written = total(writers.values(), "writes")
    if written < FEWEST_BLOCKS:
        words = f"{written:.0f} pages written since the last run, too few to tell who writes"
        yield view.state(check, view.place, "ok", words)
        return
    ranked = _ranked({name: grown["writes"] for name, grown in writers.items() if grown["writes"]})
    yield from view.measure(
        check,
        view.place,
        100.0 * (writers[_SESSION]["writes"] if _SESSION in writers else 0.0) / written,
        "pages that sessions wrote themselves",
        note=f"{written:.0f} pages written since the last run",
        evidence=[f"{name.split('/')[0]}: {amount:.0f} pages" for name, amount in ranked[:_SHOWN]],
    )


def backend_fsyncs(view: View) -> Iterator[Answer]:
    writers = _io(view)
    # What the checkpointer syncs is its work; any other that does so had to.
    synced = _ranked(
        {
            name: grown["fsyncs"]
            for name, grown in writers.items()
            if grown["fsyncs"] and not name.startswith("checkpointer/")
        }
    )
    yield from view.measure(
        "postgresql.backend_fsyncs",
        view.place,
        round(sum(amount for _name, amount in synced)),
        "files that sessions synced themselves since the last run",
        evidence=[f"{name}: {amount:.0f}" for name, amount in synced[:_SHOWN]],
    )
    if view.cluster.server.has("pg_stat_io"):
        for field, name in (("reads", "postgresql.io_reads"), ("writes", "postgresql.io_writes")):
            yield Metric(name, view.place, sum(grown.rate(field) for grown in writers.values() if grown.seconds), "1/s")


def grown_databases(view: View) -> dict[str, Grown]:
    """What each database counted since the last run."""
    counters: DatabaseCounters = view.part("database_counters")
    found = grown_by_name(counters.by_name, view.recall("database_counters"), now=view.cluster.now)
    if counters.by_name and not found:
        raise Absent("no database that is looked at was there in the last run, the next one compares")
    return found


def _io(view: View) -> dict[str, Grown]:
    return grown_by_name(view.part("io"), view.recall("io"), now=view.cluster.now)


def _ranked(values: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(values.items(), key=lambda entry: (-entry[1], entry[0]))


def _window(grown: Grown) -> str:
    since = "the statistics were reset" if grown.reset else "the last run"
    return f"since {since}, {duration(grown.seconds)} ago"


def remember(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    databases = snapshot.parts.get("database_counters")
    if isinstance(databases, DatabaseCounters):
        found["database_counters"] = plain_by_name(databases.by_name)
    for name in ("slru", "io"):
        counters = snapshot.parts.get(name)
        if isinstance(counters, dict):
            found[name] = plain_by_name(counters)
    return found


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.cache_hit": (cache_hit, ("database_counters",)),
        "postgresql.read_time": (read_time, ("database_counters",)),
        "postgresql.temp_files": (temp_files, ("database_counters",)),
        "postgresql.deadlocks": (deadlocks, ("database_counters",)),
        "postgresql.rollbacks": (rollbacks, ("database_counters",)),
        "postgresql.slru_hit": (slru_hit, ("slru",)),
        "postgresql.backend_writes": (backend_writes, ("io",)),
        "postgresql.backend_fsyncs": (backend_fsyncs, ("io",)),
    },
    cluster={"database_counters": collect_databases, "slru": collect_slru, "io": collect_io},
    remember=remember,
)

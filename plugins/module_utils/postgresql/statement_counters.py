# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pg_stat_statements counts, whatever its version and schema, and what each statement did between two runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from operator import attrgetter
from statistics import median
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    QueryError,
    Session,
    connect,
    driver,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server, quoted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.statement import without_literals
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Recalled, Settings

#: Statements that are read and remembered, the most expensive first; what lies beyond is bounded by the last of them.
MOST = 1000
#: Text that is read of each; what is shown is shorter still.
_TEXT = 400
#: Databases that are searched for the extension where the one of the login does not have it.
_SEARCHED = 20
#: Means of earlier windows that are kept for each statement, and from how many calls a mean counts.
USUAL_KEPT = 4
USUAL_CALLS = 20
_ROUNDED_MS = 0.001
#: What is compared, in the order in which it is remembered and stands in a window.
COUNTED = ("calls", "ms", "plan_ms", "rows", "read", "temp", "wal")
_figures = attrgetter(*COUNTED)

_EXTENSION = """
SELECT n.nspname::text AS schema, e.extversion AS version,
       ARRAY(SELECT a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
              WHERE c.relnamespace = e.extnamespace AND c.relname = 'pg_stat_statements'
                AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = e.extnamespace
                                        AND c.relname = 'pg_stat_statements_info') AS tells_evictions,
       coalesce(current_setting('pg_stat_statements.track', true), '') AS track
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements'
"""
_LOADED = "SELECT current_setting('pg_stat_statements.max', true) IS NOT NULL AS loaded"
_STATEMENTS = """
SELECT s.dbid::bigint AS database_oid, d.datname::text AS database, s.queryid, {toplevel} AS toplevel,
       sum(s.calls)::bigint AS calls, sum({time})::float8 AS ms, sum({plan})::float8 AS plan_ms,
       sum(s.rows)::bigint AS rows, sum(s.shared_blks_read)::bigint AS read,
       sum(s.temp_blks_written)::bigint AS temp, sum({wal})::bigint AS wal,
       min({since})::timestamptz AS since, coalesce(left(min(s.query), %(text)s), '') AS text
  FROM {source} s JOIN pg_database d ON d.oid = s.dbid
 WHERE s.queryid IS NOT NULL AND d.datname <> ALL (%(excluded)s::text[])
 GROUP BY 1, 2, 3, 4
 ORDER BY ms DESC
 LIMIT %(most)s
"""
#: One statement in bytes that are no text in the encoding of this database keeps the server from telling any (22021
#: character_not_in_repertoire, 22P05 untranslatable_character); its figures it tells all the same.
_UNTOLD = ("22021", "22P05")
_EVICTIONS = "SELECT dealloc AS evictions, stats_reset AS reset FROM {view}"


@dataclass(frozen=True)
class Statement:
    """All that ran under one query id in one database. Times in ms, ``read`` and ``temp`` in blocks, ``wal`` in bytes.

    ``since``: from when it has been counted, where the server says. ``toplevel``: not from within a function.
    """

    database_oid: int
    database: str
    queryid: int
    toplevel: bool
    calls: int
    ms: float
    plan_ms: float
    rows: int
    read: int
    temp: int
    wal: int
    since: datetime | None
    text: str

    @property
    def key(self) -> str:
        """Its name in the memory of the next run."""
        return f"{self.database_oid}/{self.queryid}" + ("" if self.toplevel else "/inner")

    @property
    def words(self) -> str:
        return f"{self.database}: {without_literals(self.text) or f'query id {self.queryid}, whose text cannot be had'}"


@dataclass(frozen=True)
class Statements:
    """The most expensive statements of the cluster's life; ``complete``: all that are counted.

    ``evictions``: how often the server dropped the least used ones to make room, None where it does not tell.
    """

    entries: tuple[Statement, ...]
    complete: bool
    evictions: int | None
    reset: datetime | None

    @property
    def floor_ms(self) -> float:
        """No statement that is not among the entries has taken longer than this in all."""
        return 0.0 if self.complete or not self.entries else self.entries[-1].ms


@dataclass(frozen=True)
class Window:
    """What a statement did since the last run. ``usual``: its mean in the windows before, in ms."""

    statement: Statement
    calls: int
    ms: float
    plan_ms: float
    rows: int
    read: int
    temp: int
    wal: int
    new: bool
    usual: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        return self.ms / self.calls if self.calls else 0.0

    @property
    def usual_mean(self) -> float | None:
        return median(self.usual) if self.usual else None

    @property
    def extra_ms(self) -> float:
        """Time it took more than it would have at its usual mean."""
        usual = self.usual_mean
        return 0.0 if usual is None else (self.mean - usual) * self.calls


def collect_statements(session: Session, server: Server, settings: Settings) -> Statements:
    """Read the extension where it is; the view shows all databases wherever one looks at it."""
    if not server.monitors:
        raise Absent("this login sees its own statements alone", remedy=server.grant())
    found = session.rows(_EXTENSION)
    if found:
        return _read(session, server, settings, found[0])
    others = [
        database.name
        for database in server.databases
        if database.allowed and database.open and not database.template and database.name != session.database
    ]
    for name in others[:_SEARCHED]:
        try:
            with connect(session.login, database=name, read_only=True) as other:
                found = other.rows(_EXTENSION)
                if found:
                    return _read(other, server, settings, found[0])
        except ConnectError:
            continue
    loaded = session.row(_LOADED)["loaded"]
    create = f"In database {quoted(session.database)}: CREATE EXTENSION pg_stat_statements"
    raise Absent(
        "the extension pg_stat_statements is in no database that this login may connect to",
        remedy=f"{create}." if loaded else f"{_PRELOAD} {create}.",
    )


_PRELOAD = "Add pg_stat_statements to shared_preload_libraries and restart the server."


def _read(session: Session, server: Server, settings: Settings, extension: Mapping[str, Any]) -> Statements:
    excluded = [
        database.name
        for database in server.databases
        if any(fnmatchcase(database.name, glob) for glob in settings.databases_exclude)
    ]
    sql = driver().sql
    columns, schema = frozenset(extension["columns"]), extension["schema"]
    view = sql.Identifier(schema, "pg_stat_statements")
    query = partial(
        sql.SQL(_STATEMENTS).format,
        toplevel=sql.SQL("s.toplevel" if "toplevel" in columns else "true"),
        time=sql.SQL("s.total_exec_time" if "total_exec_time" in columns else "s.total_time"),
        plan=sql.SQL("s.total_plan_time" if "total_plan_time" in columns else "0"),
        wal=sql.SQL("s.wal_bytes" if "wal_bytes" in columns else "0"),
        since=sql.SQL("s.stats_since" if "stats_since" in columns else "NULL::timestamptz"),
    )
    given = {"text": _TEXT, "excluded": excluded, "most": MOST}
    try:
        try:
            rows = session.rows(query(source=view), given)
        except QueryError as error:
            if error.state not in _UNTOLD:
                raise
            rows = session.rows(query(source=sql.SQL("{}(showtext => false)").format(view)), given)
        evictions: dict[str, Any] = {"evictions": None, "reset": None}
        if extension["tells_evictions"]:
            info = sql.Identifier(schema, "pg_stat_statements_info")
            evictions = session.row(sql.SQL(_EVICTIONS).format(view=info))
    except QueryError as error:
        # object_not_in_prerequisite_state: the library is not loaded.
        if error.state == "55000":
            raise Absent("pg_stat_statements is not in shared_preload_libraries", remedy=_PRELOAD) from None
        if error.is_denied:
            grant = server.grant("USAGE", on="SCHEMA", name=schema)
            remedy = f"{grant} in database {quoted(session.database)}"
            raise Absent(f"not allowed: {error.message}", remedy=remedy) from None
        raise
    if extension["track"] == "none":
        raise Absent(
            "pg_stat_statements.track is none: nothing is counted", remedy="Set pg_stat_statements.track = top."
        )
    if not rows:
        raise Absent(
            "pg_stat_statements has counted nothing in the databases that are looked at",
            remedy="Set compute_query_id = auto if it is off.",
        )
    return Statements(tuple(Statement(**row) for row in rows), complete=len(rows) < MOST, **evictions)


def windows(statements: Statements, recalled: Recalled) -> list[Window]:
    """What each statement did since the last run, the most expensive first; those that did nothing are left out."""
    past = recalled.data.get("entries")
    known: Mapping[str, Any] = past if isinstance(past, dict) else {}
    reset = recalled.data.get("reset") != _reset_text(statements)
    floor = recalled.data.get("floor_ms")
    found = (
        _window(entry, known.get(entry.key), reset=reset, floor=floor or 0.0, recalled=recalled)
        for entry in statements.entries
    )
    return sorted((window for window in found if window.calls > 0), key=lambda window: -window.ms)


def _window(entry: Statement, past: object, *, reset: bool, floor: float, recalled: Recalled) -> Window:
    now: Sequence[Any] = _figures(entry)
    then = _counts(past)
    if then is not None:
        # Less than before: it was evicted, came back, and is counted since then. Times are remembered rounded.
        began_anew = reset or now[0] < then[0] or now[1] < then[1] - _ROUNDED_MS
        grown = now if began_anew else [max(0, value - before) for value, before in zip(now, then)]
        return _window_of(entry, grown, new=False, usual=_usual(past))
    counted_since = entry.since is not None and entry.since > recalled.at
    if reset or counted_since or not floor:
        # After a reset all are counted anew, also those that were below all that was remembered.
        return _window_of(entry, now, new=not (reset and floor))
    # It may have been there, below all that was remembered; what it had taken then was less than the floor.
    share = max(0.0, entry.ms - floor) / entry.ms if entry.ms else 0.0
    rest = [value * share if isinstance(value, float) else int(value * share) for value in now]
    return _window_of(entry, rest, new=False)


def _window_of(entry: Statement, figures: Sequence[Any], *, new: bool, usual: tuple[float, ...] = ()) -> Window:
    calls, ms, plan_ms, rows, read, temp, wal = figures
    return Window(entry, calls, ms, plan_ms, rows, read, temp, wal, new, usual)


def memorable(statements: Statements, recalled: Recalled | None) -> dict[str, Any]:
    """What the next run has to know."""
    means = {window.statement.key: window for window in windows(statements, recalled)} if recalled else {}
    past = recalled.data.get("entries") if recalled else None
    return {
        "reset": _reset_text(statements),
        "evictions": statements.evictions,
        "floor_ms": statements.floor_ms,
        "entries": {
            entry.key: [
                *(round(figure, 3) for figure in _figures(entry)),
                _usual_next(entry, means.get(entry.key), past.get(entry.key) if isinstance(past, dict) else None),
            ]
            for entry in statements.entries
        },
    }


def _usual_next(entry: Statement, window: Window | None, past: object) -> list[float]:
    """The means of the last windows; the mean of its life stands for them where there is none yet."""
    usual = _usual(past)
    if window is not None and window.calls >= USUAL_CALLS:
        return [round(mean, 4) for mean in (*usual, window.mean)][-USUAL_KEPT:]
    if not usual and entry.calls >= USUAL_CALLS:
        return [round(entry.ms / entry.calls, 4)]
    return list(usual)


def _counts(past: object) -> Sequence[float] | None:
    if not isinstance(past, list) or len(past) != len(COUNTED) + 1:
        return None
    numbers: Sequence[Any] = past[: len(COUNTED)]
    return numbers if all(isinstance(number, (int, float)) for number in numbers) else None


def _usual(past: object) -> tuple[float, ...]:
    means = past[-1] if isinstance(past, list) and past else None
    return tuple(mean for mean in means if isinstance(mean, (int, float))) if isinstance(means, list) else ()


def _reset_text(statements: Statements) -> str:
    return iso(statements.reset) if statements.reset else ""


def largest(found: Sequence[Window], name: str, *, amount: int) -> Iterator[Window]:
    """The windows with most of something, none that have nothing of it."""
    for window in sorted(found, key=lambda one: -getattr(one, name))[:amount]:
        if getattr(window, name) > 0:
            yield window

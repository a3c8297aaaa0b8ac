# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sequences: how much of what they and the columns they fill can hold is used up, and when the rest will be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Recalled,
    Settings,
    Snapshot,
    Topic,
    View,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.worst import OFFENDERS, Candidate, tell

CHECKS = (
    Check(
        "postgresql.sequences",
        "Numbers of sequences used up",
        "How much of what a sequence can give is used up, by its own limits or by the type of a column that it fills, "
        "whichever ends first: an integer column behind a bigint sequence ends at 2^31. Then every INSERT fails.",
        "Change the column to bigint before it comes to that (a new column, filled in batches, then swapped), or raise "
        "the sequence: ALTER SEQUENCE ... AS bigint.",
        "pg_sequence, pg_depend",
        "%",
        Levels(warning=75, critical=90),
    ),
    Check(
        "postgresql.sequence_days",
        "Days until a sequence is used up",
        "When a sequence will have given its last number, at the pace since the last run.",
        "Change the column to bigint before it comes to that; see what takes the numbers, for an INSERT that fails or "
        "meets ON CONFLICT takes one as well.",
        "pg_sequence, compared with the last run",
        "d",
        Levels(warning=180, critical=30, direction="lower", runs=2),
    ),
)

# A sequence is read under a lock, so one that somebody alters in an open transaction is left out; one of a
# temporary table belongs to its session alone, and an unlogged one cannot be read on a standby.
_SEQUENCES = """
WITH locked AS (
    SELECT DISTINCT relation FROM pg_locks
     WHERE locktype = 'relation' AND pid IS DISTINCT FROM pg_backend_pid()
       AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), filled AS (
    SELECT objid AS sequence, refobjid AS relation, refobjsubid AS position
      FROM pg_depend
     WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND refobjsubid > 0
       AND deptype IN ('a', 'i')
     UNION
    SELECT d.refobjid, a.adrelid, a.adnum
      FROM pg_depend d JOIN pg_attrdef a ON a.oid = d.objid
     WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
), columns AS (
    SELECT DISTINCT ON (f.sequence) f.sequence, n.nspname || '.' || c.relname || '.' || a.attname AS name,
           format_type(a.atttypid, NULL) AS type, t.bits
      FROM filled f
      JOIN pg_class c ON c.oid = f.relation JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = f.relation AND a.attnum = f.position AND NOT a.attisdropped
      -- A domain, also one over a domain, is written out by the function of the type beneath.
      JOIN (SELECT oid, CASE typoutput WHEN 'int2out'::regproc THEN 16 WHEN 'int4out'::regproc THEN 32
                                       WHEN 'int8out'::regproc THEN 64 END AS bits
              FROM pg_type) t ON t.oid = a.atttypid
     ORDER BY f.sequence, t.bits NULLS LAST, f.relation, f.position
)
SELECT n.nspname::text AS schema, c.relname::text AS name, s.seqstart AS start, s.seqincrement AS step,
       s.seqmin AS least, s.seqmax AS most, s.seqcycle AS cycles,
       has_sequence_privilege(c.oid, 'SELECT, USAGE') AS readable,
       l.relation IS NOT NULL AS locked,
       CASE WHEN has_sequence_privilege(c.oid, 'SELECT, USAGE') AND l.relation IS NULL
             AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery()) THEN pg_sequence_last_value(c.oid) END AS last,
       k.name AS fills, k.type AS type, k.bits
  FROM pg_sequence s
  JOIN pg_class c ON c.oid = s.seqrelid AND c.relpersistence <> 't'
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN locked l ON l.relation = c.oid
  LEFT JOIN columns k ON k.sequence = c.oid
 ORDER BY n.nspname, c.relname
"""
_REMEMBERED = 200
_LEAST_PACE_SECONDS = 6 * 3600.0
_FAR_DAYS = 3650.0


@dataclass(frozen=True)
class Counter:
    """A sequence. ``last`` is None while it has given no number, or where it could not be read.

    ``fills`` is the narrowest column that takes its numbers, ``type`` that column's, ``bits`` how wide that is.
    """

    schema: str
    name: str
    start: int
    step: int
    least: int
    most: int
    cycles: bool
    readable: bool
    locked: bool
    last: int | None
    fills: str | None
    type: str | None
    bits: int | None

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def first_and_end(self) -> tuple[int, int]:
        """The first number that it can give, and the last one that it and the column can take."""
        if self.step > 0:
            return self.least, min(self.most, 2 ** (self.bits - 1) - 1) if self.bits else self.most
        return self.most, max(self.least, -(2 ** (self.bits - 1))) if self.bits else self.least

    @property
    def ends(self) -> bool:
        """Whether it ever comes to an end: one that begins again within its column does not."""
        return not self.cycles or self.first_and_end[1] != (self.most if self.step > 0 else self.least)

    @property
    def left(self) -> int:
        """How many numbers it can still give."""
        end = self.first_and_end[1]
        return max(0, (end - self.start) // self.step + 1 if self.last is None else (end - self.last) // self.step)

    @property
    def used(self) -> float:
        """The share of its numbers that is used up, in percent."""
        first, end = self.first_and_end
        total = (end - first) // self.step + 1
        return 100.0 * (1 - min(self.left, total) / total) if total > 0 else 100.0

    @property
    def words(self) -> str:
        column = f" for {self.fills} ({self.type})" if self.fills else ""
        return f"{self.label}{column}: {self.used:.1f} % used, {self.left:,} left"


@dataclass(frozen=True)
class Pace:
    """How fast a sequence is used up: ``days`` until its last number, at what was taken in ``seconds``."""

    days: float
    taken: int
    seconds: float

    @property
    def words(self) -> str:
        return f"{self.taken:,} taken in {duration(self.seconds)}"


def collect_sequences(session: Session, _server: Server, _settings: Settings) -> tuple[Counter, ...]:
    return tuple(Counter(**row) for row in session.many(_SEQUENCES))


def pace(counter: Counter, before: int, *, seconds: float) -> Pace | None:
    """What a sequence does since it stood at ``before``; None where it stands still, was set back, or never ends."""
    if counter.last is None or not counter.ends or seconds < _LEAST_PACE_SECONDS:
        return None
    taken = (counter.last - before) // counter.step
    if taken <= 0:
        return None
    return Pace(counter.left * seconds / taken / 86400, taken, seconds)


def sequences(view: View) -> Iterator[Answer]:
    check = "postgresql.sequences"
    for database, counters in view.in_databases("sequences"):
        hidden = [counter for counter in counters if not counter.readable]
        paces = _paces(view, database, counters)
        candidates = []
        for counter in counters:
            if counter.readable and not counter.locked and counter.ends:
                words = counter.words + _date(view, paces.get(counter.label))
                # The few that end in a finding are made clean there; to do it for thousands would take its time.
                item = f"{view.place}/{database} {counter.label}"
                candidates.append(Candidate(item, counter.used, words, note=words))
        if candidates or not hidden:
            few = f"{counted(len(candidates), 'sequence')} of {database}, highest share used up"
            yield from tell(view, check, view.item(database), candidates, few, each="used up", nothing="no sequences")
        yield from _hidden(view, database, hidden)
    yield from view.absences(check, "sequences")


def _hidden(view: View, database: str, hidden: Sequence[Counter]) -> Iterator[Answer]:
    schemas: dict[str, list[Counter]] = {}
    for counter in hidden:
        schemas.setdefault(counter.schema, []).append(counter)
    for schema, counters in list(schemas.items())[:OFFENDERS]:
        others = f", and {len(schemas) - OFFENDERS} more schemas" if len(schemas) > OFFENDERS else ""
        yield view.state(
            "postgresql.sequences",
            view.item(database, f"{schema}.*"),
            "skipped",
            f"{counted(len(counters), 'sequence')} of schema {schema} may not be read by this login{others}",
            evidence=[counter.label for counter in counters],
            remedy=view.cluster.server.grant("SELECT", on="ALL SEQUENCES IN SCHEMA", name=schema),
        )


def sequence_days(view: View) -> Iterator[Answer]:
    check = "postgresql.sequence_days"
    before = view.recall("sequences")
    seconds = before.seconds(view.cluster.now)
    if seconds < _LEAST_PACE_SECONDS:
        least = duration(_LEAST_PACE_SECONDS)
        raise Absent(f"the last run was {duration(seconds)} ago, and a pace takes {least} to tell")
    for database, counters in view.in_databases("sequences"):
        by_label = {counter.label: counter for counter in counters if counter.readable}
        if counters and not by_label:
            reason = "no sequence may be read by this login (postgresql.sequences says what to grant)"
            yield view.state(check, view.item(database), "skipped", reason)
            continue
        candidates = [
            Candidate(
                view.item(database, label),
                found.days,
                f"{by_label[label].words}{_date(view, found)}",
                note=f"{by_label[label].words}; {found.words}{_date(view, found)}",
            )
            for label, found in _paces(view, database, counters).items()
            if found.days < _FAR_DAYS
        ]
        yield from tell(
            view,
            check,
            view.item(database),
            candidates,
            "soonest used up",
            each="used up in",
            nothing="none is used up within ten years at its pace",
        )
    yield from view.absences(check, "sequences")


def _paces(view: View, database: str, counters: Sequence[Counter]) -> Mapping[str, Pace]:
    try:
        before: Recalled = view.recall("sequences")
    except Absent:
        return {}
    known = before.data.get(database)
    if not isinstance(known, dict):
        return {}
    seconds = before.seconds(view.cluster.now)
    paces = {}
    for counter in counters:
        last = known.get(counter.label)
        found = pace(counter, last, seconds=seconds) if isinstance(last, int) else None
        if found:
            paces[counter.label] = found
    return paces


def _date(view: View, found: Pace | None) -> str:
    if not found or found.days >= _FAR_DAYS:
        return ""
    return f", used up about {(view.cluster.now + timedelta(days=found.days)).date().isoformat()}"


def remember(snapshot: Snapshot) -> Mapping[str, Mapping[str, Any]]:
    """Where the sequences that are used up most stand."""
    standing: dict[str, dict[str, int]] = {}
    for database, parts in snapshot.databases.items():
        counters = parts.get("sequences")
        if isinstance(counters, tuple):
            given = [counter for counter in counters if counter.last is not None and counter.ends]
            most = sorted(given, key=lambda counter: -counter.used)[:_REMEMBERED]
            standing[database] = {counter.label: counter.last for counter in most}
    return {"sequences": standing} if standing else {}


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.sequences": (sequences, ("sequences",)),
        "postgresql.sequence_days": (sequence_days, ("sequences",)),
    },
    database={"sequences": collect_sequences},
    remember=remember,
)

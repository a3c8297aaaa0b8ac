# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which indexes nobody uses. A verdict takes four facts, and where one is missing there is none.

No scan on the primary nor on any replica; statistics that reach back far enough on all of them; where the server
tells it, a last scan that is long ago; and no constraint, replication or foreign key that rests on the index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso, moment, parse_time
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, duration, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    QueryError,
    Session,
    connect,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_facts import (
    Family,
    ForeignKey,
    Index,
    families,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.indexes import is_removable, supports
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Settings,
    Snapshot,
    Topic,
    View,
    recall,
)

CHECK = "postgresql.index_unused"
_MEBI = 1024**2

CHECKS = (
    Check(
        CHECK,
        "Indexes that nobody uses",
        "Size of the indexes from index_floor that were scanned neither on the primary nor on any of the replicas "
        "for statistics_days, and that enforce nothing. Every write keeps them up to date. Without statistics that "
        "reach back that far on each of the servers, or with a standby that is not named, there is no verdict.",
        "Ask who made them, then drop them one at a time with fleetcare.maintenance.postgresql_index, which records "
        "the way back. What alone supports a foreign key is told but not counted.",
        "pg_stat_all_indexes on all servers, pg_stat_database.stats_reset",
        "B",
        Levels(info=10 * _MEBI, warning=1024 * _MEBI),
    ),
)

# The counters of a database begin when somebody reset them, or when the server threw all of them away after a crash.
# That, as the first start, it writes down for the counters of the whole cluster; who resets one of those by hand
# moves that one alone, so the oldest counts.
_WINDOW = """
SELECT (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()) AS reset,
       (SELECT min(stats_reset) FROM (SELECT stats_reset FROM pg_stat_bgwriter UNION ALL
                                      SELECT stats_reset FROM pg_stat_archiver UNION ALL
                                      SELECT stats_reset FROM pg_stat_slru) shared) AS begun,
       now() AS now, pg_is_in_recovery() AS in_recovery,
       (SELECT system_identifier FROM pg_control_system())::text AS system
"""
_STANDBYS = """
SELECT count(*) AS amount FROM pg_stat_replication r
 WHERE coalesce(r.state, '') <> 'backup'
   AND coalesce(r.application_name, '') NOT IN ('pg_basebackup', 'pg_receivewal')
   AND NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
"""
_USED = """
SELECT s.indexrelid::bigint AS oid,
       extract(epoch FROM (to_jsonb(s) ->> 'last_idx_scan')::timestamptz)::float8 AS last_scan
  FROM pg_stat_user_indexes s WHERE s.idx_scan > 0
"""
#: Candidates of a database whose first sight is remembered, the largest first.
_REMEMBERED = 500


@dataclass(frozen=True)
class Statistics:
    """What one server counted of a database since ``since``: ``used`` has the last scan, where it is told, by oid."""

    place: str
    since: datetime
    now: datetime
    used: Mapping[int, datetime | None] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return max(0.0, (self.now - self.since).total_seconds())

    def uses(self, oids: Sequence[int], *, seconds: float) -> bool:
        """Whether one of these indexes was scanned within so many seconds, or at a time that is not told."""
        since = self.now - timedelta(seconds=seconds)
        return any((self.used[oid] or self.now) > since for oid in oids if oid in self.used)


def collect_use(session: Session, server: Server, settings: Settings) -> tuple[Statistics, ...]:
    """The statistics of this database on the server and on all replicas. Raises Absent where a fact is missing."""
    if server.in_recovery:
        raise Absent(
            "a standby counts its own scans alone",
            remedy="Ask the primary, and name this server in its option replicas.",
        )
    standbys = session.row(_STANDBYS)["amount"]
    if standbys > len(settings.replicas):
        raise Absent(
            f"{counted(standbys, 'standby streams', 'standbys stream')} from here, and {len(settings.replicas)} may be "
            "asked",
            remedy="Name each in the option replicas: what nobody scans here may serve every search there.",
        )
    facts = session.row(_WINDOW)
    own = _statistics(session, facts, place=server.place)
    return (own, *(_ask(replica, session.database, system=facts["system"]) for replica in settings.replicas))


def _ask(replica: Any, database: str, *, system: str) -> Statistics:
    try:
        with connect(replica, database=database, read_only=True) as session:
            facts = session.row(_WINDOW)
            if facts["system"] != system or not facts["in_recovery"]:
                raise Absent(f"{replica.place} is no standby of this cluster", remedy="Correct the option replicas.")
            return _statistics(session, facts, place=replica.place)
    except (ConnectError, QueryError) as error:
        raise Absent(f"a replica could not be asked: {error.message}", remedy=error.remedy, status="unknown") from None


def _statistics(session: Session, facts: Mapping[str, Any], *, place: str) -> Statistics:
    since = max((moment for moment in (facts["reset"], facts["begun"]) if moment is not None), default=None)
    if since is None:
        raise Absent(f"{place} does not tell since when it counts", status="unknown")
    used = {row["oid"]: moment(row["last_scan"]) for row in session.many(_USED)}
    return Statistics(place=place, since=since, now=facts["now"], used=used)


def candidates(indexes: Sequence[Index]) -> list[Family]:
    """The indexes that could go if nobody used them, the largest first."""
    found = [
        family
        for family in families(indexes)
        if is_removable(family.root) and not any(one.enforces or one.busy for one in (family.root, *family.members))
    ]
    return sorted(found, key=lambda family: (-family.bytes, family.root.oid))


def sole_support(keys: Sequence[ForeignKey], indexes: Sequence[Index]) -> dict[int, list[ForeignKey]]:
    """By the oid of an index, or of the one that it is a part of: the foreign keys that nothing else supports."""
    root_of = {oid: family.root.oid for family in families(indexes) for oid in family.oids}
    by_table: dict[int, list[Index]] = {}
    for index in indexes:
        by_table.setdefault(index.table_oid, []).append(index)
    found: dict[int, list[ForeignKey]] = {}
    for key in keys:
        supporting = [one for one in by_table.get(key.table_oid, ()) if supports(one, key.columns)]
        if len(supporting) == 1:
            found.setdefault(root_of[supporting[0].oid], []).append(key)
    return found


@dataclass(frozen=True)
class Verdict:
    """What nobody used, what is too young to tell, and what nobody scans but a foreign key rests on."""

    unused: tuple[Family, ...]
    young: tuple[Family, ...]
    supporting: tuple[tuple[Family, ForeignKey], ...]


def judge(
    indexes: Sequence[Index],
    keys: Sequence[ForeignKey],
    statistics: Sequence[Statistics],
    *,
    seen: Mapping[str, datetime],
    settings: Settings,
) -> Verdict:
    """The verdict on one database. ``seen``: by oid, since when those are known that appeared after the first run."""
    seconds, now = settings.statistics_days * 86400.0, statistics[0].now
    resting = sole_support(keys, indexes)
    unused: list[Family] = []
    young: list[Family] = []
    supporting: list[tuple[Family, ForeignKey]] = []
    for family in candidates(indexes):
        if family.bytes < settings.index_floor:
            break
        if any(server.uses(family.oids, seconds=seconds) for server in statistics):
            continue
        if family.root.oid in resting:
            supporting.append((family, resting[family.root.oid][0]))
        elif (now - seen.get(str(family.root.oid), datetime.min.replace(tzinfo=now.tzinfo))).total_seconds() < seconds:
            young.append(family)
        else:
            unused.append(family)
    return Verdict(tuple(unused), tuple(young), tuple(supporting))


def unused(view: View) -> Iterator[Answer]:
    days = view.settings.statistics_days
    indexes, keys = dict(view.in_databases("index_facts")), dict(view.in_databases("foreign_keys"))
    for database, statistics in view.in_databases("index_use"):
        item = view.item(database)
        shortest = min(statistics, key=lambda one: one.seconds)
        if shortest.seconds < days * 86400:
            reason = f"the statistics of {shortest.place} reach back {duration(shortest.seconds)}"
            yield view.state(CHECK, item, "skipped", f"{reason}, and a verdict takes {days:g} days of them")
        elif database in indexes and database in keys:
            seen = _first_seen(view.memory, view.cluster.server, database)
            young = _appeared(seen, indexes[database], now=statistics[0].now)
            verdict = judge(indexes[database], keys[database], statistics, seen=young, settings=view.settings)
            yield from _told(view, item, verdict, statistics)
    absences = (view.absences(CHECK, part) for part in ("index_use", "index_facts", "foreign_keys"))
    yield from dict.fromkeys(absence for found in absences for absence in found)


def _told(view: View, item: str, verdict: Verdict, statistics: Sequence[Statistics]) -> Iterator[Answer]:
    notes = [counted(len(verdict.unused), "index", "indexes")] if verdict.unused else []
    notes.append(f"not scanned for {view.settings.statistics_days:g} days on {counted(len(statistics), 'server')}")
    if verdict.young:
        notes.append(f"{counted(len(verdict.young), 'index', 'indexes')} too young to tell")
    kept = [
        clean(f"not counted: {family.root.label}, {quantity(family.bytes, 'B')}, alone supports foreign key {key.name}")
        for family, key in verdict.supporting
    ]
    yield from view.measure(
        CHECK,
        item,
        sum(family.bytes for family in verdict.unused),
        "indexes that nobody uses",
        note=", ".join(notes),
        evidence=[*(_line(family) for family in verdict.unused), *kept],
    )


def _line(family: Family) -> str:
    index = family.root
    last = f"last scan {iso(family.last_scan)}" if family.last_scan else "never scanned"
    return clean(f"{index.label} on {index.table_label} {index.columns}: {quantity(family.bytes, 'B')}, {last}")


def _first_seen(memory: Mapping[str, Any], server: Server, database: str) -> dict[str, str]:
    """When each candidate was seen first, by oid; empty where nothing is remembered."""
    try:
        entry = recall(memory, "index_use", server=server).data["databases"][database]
        return {str(oid): str(at) for oid, at in entry.items()}
    except (Absent, KeyError, TypeError, AttributeError):
        return {}


def _appeared(seen: Mapping[str, str], indexes: Sequence[Index], *, now: datetime) -> dict[str, datetime]:
    """By oid, since when those are known that the first run did not see; how old the others are nobody knows."""
    first = min(seen.values(), default="")
    if not first:
        return {}
    found: dict[str, datetime] = {}
    for oid in (str(family.root.oid) for family in candidates(indexes)):
        try:
            at = parse_time(seen[oid], option="state") if oid in seen else now
        except OptionError:
            at = now
        if oid not in seen or seen[oid] > first:
            found[oid] = at
    return found


def carry(snapshot: Snapshot, memory: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """When each candidate was seen first: the catalog does not tell when an index was made."""
    entries: dict[str, dict[str, str]] = {}
    for database, parts in snapshot.databases.items():
        indexes = parts.get("index_facts")
        before = _first_seen(memory, snapshot.server, database)
        if isinstance(indexes, tuple) and "index_use" in parts:
            now = iso(snapshot.server.now)
            oids = [str(family.root.oid) for family in candidates(indexes)[:_REMEMBERED]]
            # The time of the first run stays, to tell what appeared later, even when all it saw has gone.
            first = before.get("first", min(before.values(), default=now))
            entries[database] = {"first": first, **{oid: before.get(oid, now) for oid in oids}}
        elif before:
            entries[database] = before
    return {"index_use": {"databases": entries}} if entries else {}


TOPIC = Topic(
    checks=CHECKS,
    questions={CHECK: (unused, ("index_facts", "foreign_keys", "index_use"))},
    database={"index_use": collect_use},
    carry=carry,
)

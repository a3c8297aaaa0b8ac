# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archiver, which must take the write-ahead log away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, duration, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Settings,
    Snapshot,
    Topic,
    View,
)

#: An archiver whose oldest segment is the same after this long is stuck; a run straight after another says nothing.
STUCK_SECONDS = 60.0
#: An archiver that fails is given this long before it counts as one that will not mend itself.
LATE_SECONDS = 900.0

CHECKS = (
    Check(
        "postgresql.archiver",
        "WAL is archived",
        "Whether the last attempt to archive a segment succeeded, and whether the oldest one that waits has moved "
        "since the last run. An archiver that is stuck fills the disk and leaves backups without their end.",
        "The server's log has the output of archive_command; run it by hand for the segment that is named. The server "
        "goes on trying by itself.",
        "pg_stat_archiver, pg_ls_archive_statusdir()",
    ),
    Check(
        "postgresql.archive_waiting",
        "WAL that waits for the archive",
        "Segments that are complete and not yet archived. They would be lost with this server, and stay on its disk.",
        "See postgresql.archiver; a command that succeeds and is too slow needs to work in parallel "
        "(pgBackRest archive-push with archive-async).",
        "pg_ls_archive_statusdir()",
        "",
        Levels(warning=20, critical=100),
    ),
)

_ARCHIVER = """
SELECT a.archived_count AS archived, a.failed_count AS failed, coalesce(a.last_archived_wal, '') AS last_archived,
       coalesce(a.last_failed_wal, '') AS last_failed, a.last_archived_time AS archived_at,
       a.last_failed_time AS failed_at, a.stats_reset AS reset, current_setting('archive_mode') AS mode,
       -- What the settings are is not to be seen by everybody, and is nobody's business here.
       (SELECT bool_or(setting NOT IN ('', '(disabled)')) FROM pg_settings
         WHERE name IN ('archive_command', 'archive_library')) AS configured,
       pg_size_bytes(current_setting('wal_segment_size'))::bigint AS segment
  FROM pg_stat_archiver a
"""
_WAITING = """
SELECT count(*)::int AS segments, coalesce(min(name), '') AS oldest,
       coalesce(extract(epoch FROM clock_timestamp() - min(modification)), 0)::float8 AS oldest_age
  FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'
"""


@dataclass(frozen=True)
class Archiver:
    """pg_stat_archiver. ``configured``: there is a command or a library; None where this login may not see it."""

    archived: int
    failed: int
    last_archived: str
    last_failed: str
    archived_at: datetime | None
    failed_at: datetime | None
    reset: datetime | None
    mode: str
    configured: bool | None
    segment: int

    @property
    def fails(self) -> bool:
        """Whether the last attempt was a failure."""
        return self.failed_at is not None and (self.archived_at is None or self.failed_at > self.archived_at)


@dataclass(frozen=True)
class Waiting:
    """Segments marked .ready; ``oldest`` is the name of the first."""

    segments: int
    oldest: str
    oldest_age: float


def collect_archiver(session: Session, _server: Server, _settings: Settings) -> Archiver:
    return Archiver(**session.row(_ARCHIVER))


def collect_waiting(session: Session, _server: Server, _settings: Settings) -> Waiting:
    return Waiting(**session.row(_WAITING))


def archiver(view: View) -> Iterator[Answer]:
    check = "postgresql.archiver"
    known = _archiving(view)
    waiting = view.part("waiting")
    evidence = _archiver_facts(known, waiting, view.cluster.now)
    stuck = _stuck_for(view, waiting)
    if known.configured is False:
        words = "archive_mode is on, but there is neither archive_command nor archive_library"
        yield view.state(check, view.place, "critical", words, evidence=evidence, remedy=_UNCONFIGURED)
    elif stuck:
        words = f"the oldest segment that waits, {_segment(waiting)}, has not moved since the last run, {stuck} ago"
        yield view.state(check, view.place, "critical", words, evidence=evidence)
    elif known.fails:
        words = f"the last attempt to archive failed, for {known.last_failed}"
        late = waiting.oldest_age >= LATE_SECONDS
        yield view.state(check, view.place, "critical" if late else "warning", words, evidence=evidence)
    elif known.archived_at is None:
        yield view.state(check, view.place, "ok", "no segment has had to be archived yet", evidence=evidence)
    else:
        age = duration((view.cluster.now - known.archived_at).total_seconds())
        words = f"the last segment was archived {age} ago, {counted(waiting.segments, 'more', 'more')} waiting"
        yield view.state(check, view.place, "ok", words, evidence=evidence)


_UNCONFIGURED = "Set archive_command or archive_library, or archive_mode = off: segments pile up in pg_wal."


def archive_waiting(view: View) -> Iterator[Answer]:
    known = _archiving(view)
    waiting: Waiting = view.part("waiting")
    oldest = f", the oldest for {duration(waiting.oldest_age)}" if waiting.segments else ""
    yield from view.measure(
        "postgresql.archive_waiting",
        view.place,
        waiting.segments,
        "segments that wait for the archive",
        note=f"{quantity(waiting.segments * known.segment, 'B')}{oldest}",
    )


def _archiving(view: View) -> Archiver:
    known: Archiver = view.part("archiver")
    if known.mode == "off":
        raise Absent("archive_mode is off: this server keeps no archive of its WAL")
    if known.mode == "on" and view.cluster.server.in_recovery:
        raise Absent("a standby archives only with archive_mode = always, the primary does it")
    return known


def _stuck_for(view: View, waiting: Waiting) -> str:
    """How long the oldest segment has been seen waiting, in words; empty where it moved or nobody knows."""
    if not waiting.oldest:
        return ""
    try:
        recalled = view.recall("waiting")
    except Absent:
        return ""
    seconds = recalled.seconds(view.cluster.now)
    return duration(seconds) if recalled.data.get("oldest") == waiting.oldest and seconds >= STUCK_SECONDS else ""


def _segment(waiting: Waiting) -> str:
    return waiting.oldest[: -len(".ready")] if waiting.oldest.endswith(".ready") else waiting.oldest


def _archiver_facts(known: Archiver, waiting: Waiting, now: datetime) -> list[str]:
    facts = [f"{known.archived} archived and {known.failed} failed attempts since the statistics were reset"]
    if known.archived_at:
        facts.append(f"last archived: {known.last_archived}, {duration((now - known.archived_at).total_seconds())} ago")
    if known.failed_at:
        facts.append(f"last failed: {known.last_failed}, {duration((now - known.failed_at).total_seconds())} ago")
    if waiting.segments:
        facts.append(f"oldest that waits: {_segment(waiting)}, for {duration(waiting.oldest_age)}")
    return facts


def remember(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    waiting = snapshot.parts.get("waiting")
    if not isinstance(waiting, Waiting):
        return {}
    return {"waiting": {field.name: getattr(waiting, field.name) for field in fields(Waiting)}}


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.archiver": (archiver, ("archiver", "waiting")),
        "postgresql.archive_waiting": (archive_waiting, ("archiver", "waiting")),
    },
    cluster={"archiver": collect_archiver, "waiting": collect_waiting},
    remember=remember,
)

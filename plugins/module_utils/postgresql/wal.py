# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints, the write-ahead log, and the archiver that must take it away."""

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
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.deltas import Counters, Grown
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Settings,
    Snapshot,
    Topic,
    View,
)

#: A share of fewer checkpoints than this would make an alarm of a single one.
FEWEST_CHECKPOINTS = 5
#: WAL that an idle server may have written without a checkpoint being due.
IDLE_BYTES = 1024**2
#: An archiver whose oldest segment is the same after this long is stuck; a run straight after another says nothing.
STUCK_SECONDS = 60.0
#: An archiver that fails is given this long before it counts as one that will not mend itself.
LATE_SECONDS = 900.0

CHECKS = (
    Check(
        "postgresql.checkpoints_requested",
        "Checkpoints before their time",
        "Share of the checkpoints since the last run (on a standby: restartpoints) that did not come by the clock, "
        "because max_wal_size was reached or somebody asked. Each writes full pages into the WAL once more. Fewer than "
        "5 are not judged.",
        "Raise max_wal_size so that checkpoint_timeout sets the pace; bulk loads and base backups ask for some too.",
        "pg_stat_checkpointer, pg_stat_bgwriter",
        "%",
        Levels(info=30, warning=60),
    ),
    Check(
        "postgresql.checkpoint_age",
        "Time since the last checkpoint",
        "How long ago the last checkpoint was, in shares of checkpoint_timeout, while there was something to write. "
        "A server that cannot finish one keeps all WAL and needs as long to recover.",
        "Look for errors of the checkpointer in the server's log, and whether the disk keeps up (host.disk_io).",
        "pg_control_checkpoint()",
        "%",
        Levels(warning=300, critical=1000),
    ),
    Check(
        "postgresql.wal_rate",
        "WAL written",
        "Bytes of write-ahead log a second since the last run: what archive, backups and standbys have to carry.",
        "Find the statements that write most (postgresql.statements); see whether checkpoints come too often.",
        "pg_current_wal_lsn()",
        "B/s",
    ),
    Check(
        "postgresql.wal_size",
        "Size of pg_wal",
        "What pg_wal holds, as a share of what max_wal_size and wal_keep_size let it hold. More means that a slot, an "
        "archiver that fails, or a checkpoint that does not end keeps it.",
        "See postgresql.archiver, postgresql.slot_wal and postgresql.checkpoint_age for who holds it. Never delete "
        "files in pg_wal by hand.",
        "pg_ls_waldir()",
        "%",
        Levels(warning=200, critical=500),
    ),
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

_NEW_CHECKPOINTS = """
SELECT num_timed AS timed, num_requested AS requested, restartpoints_timed,
       restartpoints_req AS restartpoints_requested,
       write_time AS write_ms, sync_time AS sync_ms, buffers_written AS buffers, stats_reset AS reset
  FROM pg_stat_checkpointer
"""
_OLD_CHECKPOINTS = """
SELECT checkpoints_timed AS timed, checkpoints_req AS requested, checkpoint_write_time AS write_ms,
       checkpoint_sync_time AS sync_ms, buffers_checkpoint AS buffers, stats_reset AS reset
  FROM pg_stat_bgwriter
"""
_CONTROL = """
SELECT extract(epoch FROM clock_timestamp() - checkpoint_time)::float8 AS age,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END,
                       redo_lsn)::float8 AS written,
       extract(epoch FROM current_setting('checkpoint_timeout')::interval)::float8 AS timeout
  FROM pg_control_checkpoint()
"""
_POSITION = """
SELECT pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                            ELSE pg_current_wal_lsn() END, '0/0')::float8 AS bytes
"""
_DIRECTORY = """
SELECT count(*)::int AS files, coalesce(sum(size), 0)::bigint AS bytes,
       pg_size_bytes(current_setting('max_wal_size'))::bigint AS most,
       pg_size_bytes(current_setting('wal_keep_size'))::bigint AS kept
  FROM pg_ls_waldir()
"""
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
class Control:
    """The last checkpoint: its age in seconds, the WAL ``written`` since, and checkpoint_timeout."""

    age: float
    written: float
    timeout: float


@dataclass(frozen=True)
class WalDirectory:
    """pg_wal in bytes, and what the settings let it hold."""

    files: int
    bytes: int
    most: int
    kept: int


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


def collect_checkpoints(session: Session, server: Server, _settings: Settings) -> Counters:
    row = session.row(_NEW_CHECKPOINTS if server.has("pg_stat_checkpointer", "num_timed") else _OLD_CHECKPOINTS)
    return Counters({name: value or 0 for name, value in row.items() if name != "reset"}, row["reset"])


def collect_control(session: Session, _server: Server, _settings: Settings) -> Control:
    return Control(**session.row(_CONTROL))


def collect_position(session: Session, _server: Server, _settings: Settings) -> Counters:
    """How far the WAL has come, as a counter that no reset touches."""
    return Counters({"bytes": session.row(_POSITION)["bytes"] or 0})


def collect_directory(session: Session, _server: Server, _settings: Settings) -> WalDirectory:
    return WalDirectory(**session.row(_DIRECTORY))


def collect_archiver(session: Session, _server: Server, _settings: Settings) -> Archiver:
    return Archiver(**session.row(_ARCHIVER))


def collect_waiting(session: Session, _server: Server, _settings: Settings) -> Waiting:
    return Waiting(**session.row(_WAITING))


def checkpoints_requested(view: View) -> Iterator[Answer]:
    check = "postgresql.checkpoints_requested"
    counters: Counters = view.part("checkpoints")
    recalled = view.recall("checkpoints")
    grown = counters.grown(recalled.data, recalled=recalled, now=view.cluster.now)
    if grown is None:
        raise Absent("the last run counted other things, the next one compares with this")
    prefix = "restartpoints_" if view.cluster.server.in_recovery and "restartpoints_timed" in counters.counts else ""
    timed, requested = grown[f"{prefix}timed"], grown[f"{prefix}requested"]
    amount = timed + requested
    if amount < FEWEST_CHECKPOINTS:
        words = f"{counted(round(amount), 'checkpoint')} since the last run, {requested:.0f} before their time"
        yield view.state(check, view.place, "ok", f"{words}: too few for a ratio")
        return
    yield from view.measure(
        check,
        view.place,
        100.0 * requested / amount,
        "checkpoints before their time",
        note=f"{requested:.0f} of {amount:.0f} in {duration(grown.seconds)}",
        evidence=_checkpoint_work(grown, amount, view.cluster.server.block_size),
    )


def _checkpoint_work(grown: Grown, amount: float, block_size: int) -> list[str]:
    written = quantity(grown["buffers"] * block_size, "B")
    return [
        f"writing took {duration(grown['write_ms'] / 1000)}, syncing {duration(grown['sync_ms'] / 1000)} in all",
        f"{written} written, a checkpoint every {duration(grown.seconds / amount)}",
    ]


def checkpoint_age(view: View) -> Iterator[Answer]:
    control: Control = view.part("control")
    if control.written < IDLE_BYTES:
        words = f"last checkpoint {duration(control.age)} ago, and nothing to write since"
        yield view.state("postgresql.checkpoint_age", view.place, "ok", words)
        return
    yield from view.measure(
        "postgresql.checkpoint_age",
        view.place,
        100.0 * max(0.0, control.age) / max(1.0, control.timeout),
        "time since the last checkpoint, of checkpoint_timeout",
        note=f"{duration(control.age)} of {duration(control.timeout)}, {quantity(control.written, 'B')} of WAL since",
    )


def wal_rate(view: View) -> Iterator[Answer]:
    counters: Counters = view.part("position")
    recalled = view.recall("position")
    grown = counters.grown(recalled.data, recalled=recalled, now=view.cluster.now)
    if grown is None or grown.reset:
        raise Absent("the WAL has gone back since the last run, as after a restore: the next one compares")
    yield from view.measure(
        "postgresql.wal_rate",
        view.place,
        grown.rate("bytes"),
        "WAL received" if view.cluster.server.in_recovery else "WAL written",
        note=f"{quantity(grown['bytes'], 'B')} in {duration(grown.seconds)}",
    )


def wal_size(view: View) -> Iterator[Answer]:
    wal: WalDirectory = view.part("directory")
    allowed = max(1, wal.most + wal.kept)
    yield from view.measure(
        "postgresql.wal_size",
        view.place,
        100.0 * wal.bytes / allowed,
        "pg_wal, of what the settings let it hold",
        note=f"{quantity(wal.bytes, 'B')} in {counted(wal.files, 'file')}",
        evidence=[f"max_wal_size {quantity(wal.most, 'B')}, wal_keep_size {quantity(wal.kept, 'B')}"],
    )


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
    found: dict[str, dict[str, Any]] = {}
    for name in ("checkpoints", "position"):
        counters = snapshot.parts.get(name)
        if isinstance(counters, Counters):
            found[name] = counters.plain()
    waiting = snapshot.parts.get("waiting")
    if isinstance(waiting, Waiting):
        found["waiting"] = {field.name: getattr(waiting, field.name) for field in fields(Waiting)}
    return found


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.checkpoints_requested": (checkpoints_requested, ("checkpoints",)),
        "postgresql.checkpoint_age": (checkpoint_age, ("control",)),
        "postgresql.wal_rate": (wal_rate, ("position",)),
        "postgresql.wal_size": (wal_size, ("directory",)),
        "postgresql.archiver": (archiver, ("archiver", "waiting")),
        "postgresql.archive_waiting": (archive_waiting, ("archiver", "waiting")),
    },
    cluster={
        "checkpoints": collect_checkpoints,
        "control": collect_control,
        "position": collect_position,
        "directory": collect_directory,
        "archiver": collect_archiver,
        "waiting": collect_waiting,
    },
    remember=remember,
)

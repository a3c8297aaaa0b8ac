# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints and the write-ahead log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
        "For how long there has been something to write and no checkpoint, in shares of checkpoint_timeout. A server "
        "that cannot finish one keeps all WAL and needs as long to recover.",
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
)

_NEW_CHECKPOINTS = """
SELECT num_timed AS timed, num_requested AS requested, restartpoints_timed,
       restartpoints_req AS restartpoints_requested, restartpoints_done,
       -- What came by the clock while there was nothing to write is counted as timed and was none.
       (to_jsonb(c) ->> 'num_done')::bigint AS done,
       write_time AS write_ms, sync_time AS sync_ms, buffers_written AS buffers, stats_reset AS reset
  FROM pg_stat_checkpointer c
"""
_OLD_CHECKPOINTS = """
SELECT checkpoints_timed AS timed, checkpoints_req AS requested, checkpoint_write_time AS write_ms,
       checkpoint_sync_time AS sync_ms, buffers_checkpoint AS buffers, stats_reset AS reset
  FROM pg_stat_bgwriter
"""
_CONTROL = """
SELECT extract(epoch FROM clock_timestamp() - checkpoint_time)::float8 AS age,
       -- The segment where the checkpoint began was last written to when the WAL went on to the next.
       (SELECT extract(epoch FROM clock_timestamp() - modification)::float8 FROM pg_ls_waldir()
         WHERE name = redo_wal_file) AS pending,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                            ELSE pg_current_wal_insert_lsn() END, redo_lsn)::float8 AS written,
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


@dataclass(frozen=True)
class Control:
    """The last checkpoint: its age in seconds, the WAL ``written`` since, and checkpoint_timeout.

    ``pending``: for how long at least there has been WAL to make a checkpoint of; None where nobody can tell.
    """

    age: float
    pending: float | None
    written: float
    timeout: float

    @property
    def due(self) -> float:
        """For how long a checkpoint could have been made; an idle server makes none."""
        return max(0.0, self.age if self.pending is None else min(self.age, self.pending))


@dataclass(frozen=True)
class WalDirectory:
    """pg_wal in bytes, and what the settings let it hold."""

    files: int
    bytes: int
    most: int
    kept: int


def collect_checkpoints(session: Session, server: Server, _settings: Settings) -> Counters:
    row = session.row(_NEW_CHECKPOINTS if server.has("pg_stat_checkpointer", "num_timed") else _OLD_CHECKPOINTS)
    return Counters({name: row[name] for name in row if name != "reset" and row[name] is not None}, row["reset"])


def collect_control(session: Session, _server: Server, _settings: Settings) -> Control:
    return Control(**session.row(_CONTROL))


def collect_position(session: Session, _server: Server, _settings: Settings) -> Counters:
    """How far the WAL has come, as a counter that no reset touches."""
    return Counters({"bytes": session.row(_POSITION)["bytes"] or 0})


def collect_directory(session: Session, _server: Server, _settings: Settings) -> WalDirectory:
    return WalDirectory(**session.row(_DIRECTORY))


def checkpoints_requested(view: View) -> Iterator[Answer]:
    check = "postgresql.checkpoints_requested"
    counters: Counters = view.part("checkpoints")
    recalled = view.recall("checkpoints")
    grown = counters.grown(recalled.data, recalled=recalled, now=view.cluster.now)
    if grown is None:
        raise Absent("the last run counted other things, the next one compares with this")
    prefix = "restartpoints_" if view.cluster.server.in_recovery and "restartpoints_timed" in counters.counts else ""
    timed, requested = grown[f"{prefix}timed"], grown[f"{prefix}requested"]
    # Before PostgreSQL 18 (17 for restartpoints) nobody tells how many there really were.
    amount = grown.by.get(f"{prefix}done", timed + requested)
    requested = min(requested, amount)
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
        100.0 * control.due / max(1.0, control.timeout),
        "time since the last checkpoint, of checkpoint_timeout",
        note=f"{duration(control.age)} ago, {quantity(control.written, 'B')} of WAL since, for {duration(control.due)}",
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


def remember(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name in ("checkpoints", "position"):
        counters = snapshot.parts.get(name)
        if isinstance(counters, Counters):
            found[name] = counters.plain()
    return found


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.checkpoints_requested": (checkpoints_requested, ("checkpoints",)),
        "postgresql.checkpoint_age": (checkpoint_age, ("control",)),
        "postgresql.wal_rate": (wal_rate, ("position",)),
        "postgresql.wal_size": (wal_size, ("directory",)),
    },
    cluster={
        "checkpoints": collect_checkpoints,
        "control": collect_control,
        "position": collect_position,
        "directory": collect_directory,
    },
    remember=remember,
)

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints, the size of pg_wal, and an archiver that fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.deltas import Counters
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Snapshot
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.wal import (
    TOPIC,
    Archiver,
    Control,
    Waiting,
    WalDirectory,
    remember,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import (
    NOW,
    SERVER,
    ask,
    remembered,
)

HOUR = timedelta(hours=1)
EARLIER = replace(SERVER, now=NOW - HOUR)
STANDBY = replace(SERVER, in_recovery=True)
MIB = 1024**2
#: pg_stat_checkpointer of PostgreSQL 17.
CHECKPOINTS = {
    "timed": 812, "requested": 31, "restartpoints_timed": 0, "restartpoints_requested": 0,
    "write_ms": 1_204_113.0, "sync_ms": 913.0, "buffers": 90_211,
}  # fmt: skip
ARCHIVER = Archiver(
    archived=41,
    failed=0,
    last_archived="00000001000000000000002A",
    last_failed="",
    archived_at=NOW - timedelta(minutes=3),
    failed_at=None,
    reset=NOW - timedelta(days=9),
    mode="on",
    configured=True,
    segment=16 * MIB,
)
EMPTY = Waiting(0, "", 0.0)
ONE = Waiting(1, "00000001000000000000002B.ready", 30.0)


def memory(**parts: Any) -> dict[str, Any]:
    return remembered(EARLIER, **remember(Snapshot(EARLIER, EARLIER.now, parts=parts)))


def checkpoints(**more: float) -> dict[str, Any]:
    return {"checkpoints": Counters({name: value + more.get(name, 0) for name, value in CHECKPOINTS.items()})}


@pytest.mark.parametrize(
    ("timed", "requested", "status", "value"),
    [(12, 0, "ok", 0), (6, 4, "info", 40), (2, 8, "warning", 80), (0, 4, "ok", None)],
)
def test_checkpoints_before_their_time(timed: int, requested: int, status: str, value: float | None) -> None:
    (finding,), _metrics = ask(
        TOPIC,
        "postgresql.checkpoints_requested",
        parts=checkpoints(timed=timed, requested=requested, write_ms=9000.0, buffers=512),
        memory=memory(**checkpoints()),
    )

    assert (finding.status, finding.value) == (status, value)
    if value:
        assert finding.evidence[0].startswith("writing took 9 s, syncing 0 s")
        assert "4 MiB written, a checkpoint every 6 min" in finding.evidence[1]


def test_a_standby_counts_restartpoints() -> None:
    (finding,), _metrics = ask(
        TOPIC,
        "postgresql.checkpoints_requested",
        parts=checkpoints(restartpoints_timed=5, restartpoints_requested=5, timed=100),
        server=STANDBY,
        memory=memory(**checkpoints()),
    )

    assert finding.value == 50


def test_a_checkpoint_that_does_not_end_is_told_where_there_was_something_to_write() -> None:
    busy = Control(age=1000.0, written=200.0 * MIB, timeout=300.0)
    (late,), _metrics = ask(TOPIC, "postgresql.checkpoint_age", parts={"control": busy})
    (idle,), _metrics = ask(TOPIC, "postgresql.checkpoint_age", parts={"control": replace(busy, written=56.0)})

    assert late.status == "warning"
    assert "16 min 40 s of 5 min, 200 MiB of WAL since" in late.summary
    assert idle.status == "ok"


def test_the_rate_of_wal_is_that_since_the_last_run() -> None:
    past = memory(position=Counters({"bytes": 100.0 * MIB}))
    parts = {"position": Counters({"bytes": 100.0 * MIB + 7200.0 * MIB})}
    (finding,), _metrics = ask(TOPIC, "postgresql.wal_rate", parts=parts, memory=past)
    (back,), _metrics = ask(TOPIC, "postgresql.wal_rate", parts={"position": Counters({"bytes": 5.0})}, memory=past)

    assert (finding.status, finding.value) == ("ok", 2 * MIB)
    assert back.status == "skipped"


def test_pg_wal_is_measured_by_what_the_settings_let_it_hold() -> None:
    wal = WalDirectory(files=192, bytes=3072 * MIB, most=1024 * MIB, kept=0)
    (finding,), _metrics = ask(TOPIC, "postgresql.wal_size", parts={"directory": wal})
    kept = replace(wal, kept=2048 * MIB)
    (allowed,), _metrics = ask(TOPIC, "postgresql.wal_size", parts={"directory": kept})

    assert (finding.status, finding.value) == ("warning", 300)
    assert "3 GiB in 192 files" in finding.summary
    assert allowed.status == "ok"


FAILED = replace(ARCHIVER, failed=7, last_failed="00000001000000000000002B", failed_at=NOW - timedelta(seconds=5))


@pytest.mark.parametrize(
    ("archiver", "waiting", "before", "status", "words"),
    [
        (ARCHIVER, EMPTY, None, "ok", "archived 3 min ago, 0 more waiting"),
        (replace(ARCHIVER, archived_at=None), EMPTY, None, "ok", "no segment has had to be archived"),
        (FAILED, ONE, None, "warning", "last attempt to archive failed, for 00000001000000000000002B"),
        (FAILED, replace(ONE, oldest_age=1000.0), None, "critical", "last attempt to archive failed"),
        (FAILED, ONE, ONE, "critical", "00000001000000000000002B, has not moved since the last run, 1 h ago"),
        # A command that hangs fails never.
        (ARCHIVER, ONE, ONE, "critical", "has not moved"),
        (ARCHIVER, ONE, replace(ONE, oldest="00000001000000000000002A.ready"), "ok", "1 more waiting"),
        (replace(FAILED, archived_at=NOW), ONE, None, "ok", "1 more waiting"),
        (replace(ARCHIVER, configured=False), ONE, None, "critical", "neither archive_command nor archive_library"),
        (replace(ARCHIVER, mode="off"), EMPTY, None, "skipped", "archive_mode is off"),
    ],
)
def test_an_archiver(archiver: Archiver, waiting: Waiting, before: Waiting | None, status: str, words: str) -> None:
    (finding,), _metrics = ask(
        TOPIC,
        "postgresql.archiver",
        parts={"archiver": archiver, "waiting": waiting},
        memory=memory(waiting=before) if before else {},
    )

    assert finding.status == status
    assert words in finding.summary


def test_a_second_look_at_once_does_not_say_that_the_archiver_is_stuck() -> None:
    just_now = replace(SERVER, now=NOW - timedelta(seconds=20))
    past = remembered(just_now, **remember(Snapshot(just_now, just_now.now, parts={"waiting": ONE})))
    (finding,), _metrics = ask(TOPIC, "postgresql.archiver", parts={"archiver": ARCHIVER, "waiting": ONE}, memory=past)

    assert finding.status == "ok"


@pytest.mark.parametrize(("mode", "status"), [("on", "skipped"), ("always", "ok")])
def test_a_standby_archives_only_when_it_is_told_to(mode: str, status: str) -> None:
    parts = {"archiver": replace(ARCHIVER, mode=mode), "waiting": EMPTY}
    for check in ("postgresql.archiver", "postgresql.archive_waiting"):
        (finding,), _metrics = ask(TOPIC, check, parts=parts, server=STANDBY)
        assert finding.status == status


@pytest.mark.parametrize(("segments", "status"), [(0, "ok"), (19, "ok"), (20, "warning"), (100, "critical")])
def test_segments_that_wait(segments: int, status: str) -> None:
    parts = {"archiver": ARCHIVER, "waiting": replace(ONE, segments=segments)}
    (finding,), _metrics = ask(TOPIC, "postgresql.archive_waiting", parts=parts)

    assert (finding.status, finding.value) == (status, segments)

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints and the size of pg_wal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.deltas import Counters
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Snapshot
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.wal import (
    TOPIC,
    Control,
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


def test_what_came_by_the_clock_and_was_none_does_not_hide_the_others() -> None:
    idle: dict[str, Any] = {"done": 300}
    grown = {"checkpoints": Counters({**checkpoints(timed=2000, requested=8)["checkpoints"].counts, "done": 310})}
    past = {"checkpoints": Counters({**CHECKPOINTS, **idle})}
    (finding,), _metrics = ask(TOPIC, "postgresql.checkpoints_requested", parts=grown, memory=memory(**past))

    assert (finding.status, finding.value) == ("warning", 80)
    assert "8 of 10 in 1 h" in finding.summary
    assert "a checkpoint every 6 min" in finding.evidence[1]


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
    busy = Control(age=1500.0, pending=1000.0, written=200.0 * MIB, timeout=300.0)
    (late,), _metrics = ask(TOPIC, "postgresql.checkpoint_age", parts={"control": busy})
    (idle,), _metrics = ask(TOPIC, "postgresql.checkpoint_age", parts={"control": replace(busy, written=56.0)})
    # Ten hours without anything to write, and then a burst.
    burst = replace(busy, age=36_000.0, pending=5.0)
    (awake,), _metrics = ask(TOPIC, "postgresql.checkpoint_age", parts={"control": burst})
    (untold,), _metrics = ask(TOPIC, "postgresql.checkpoint_age", parts={"control": replace(busy, pending=None)})

    assert late.status == "warning"
    assert late.value == pytest.approx(333.3333)
    assert "25 min ago, 200 MiB of WAL since, for 16 min 40 s" in late.summary
    assert idle.status == "ok"
    assert awake.status == "ok"
    assert untold.value == 500
    assert replace(busy, age=30.0).due == 30


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

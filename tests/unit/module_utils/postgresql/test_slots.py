# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replication slots: what they hold, and since when nobody uses them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.deltas import Counters
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.slots import TOPIC, Slot, carry, remember
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Snapshot
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import (
    NOW,
    SERVER,
    ask,
    remembered,
)

GIB = 1024**3
EARLIER = replace(SERVER, now=NOW - timedelta(hours=2))
#: A row of pg_replication_slots of PostgreSQL 15, in use.
SLOT = Slot(
    name="standby1",
    kind="physical",
    database="",
    active=True,
    status="reserved",
    remaining=None,
    bytes=4096.0,
    inactive_since=None,
    synced=False,
    reason="",
)
IDLE = replace(SLOT, active=False)


def memory(*slots: Slot, past: dict[str, Any] | None = None, server: Any = EARLIER) -> dict[str, Any]:
    return remembered(server, **carry(Snapshot(server, server.now, parts={"slots": slots}), past or {}))


@pytest.mark.parametrize(
    ("status", "expected"),
    [("reserved", "ok"), ("", "ok"), ("extended", "warning"), ("unreserved", "critical"), ("lost", "critical")],
)
def test_a_slot_that_loses_its_wal(status: str, expected: str) -> None:
    parts = {"slots": (SLOT, replace(SLOT, name="other", status=status))}
    (finding,), _metrics = ask(TOPIC, "postgresql.slot_status", parts=parts)

    assert finding.status == expected
    assert finding.item == ("localhost:5432" if expected == "ok" else "localhost:5432 other")


def test_hundreds_of_broken_slots_do_not_fill_the_report() -> None:
    parts = {"slots": tuple(replace(SLOT, name=f"slot{at}", status="lost") for at in range(300))}
    findings, _metrics = ask(TOPIC, "postgresql.slot_status", parts=parts)

    assert len(findings) == 21
    assert "280 more" in findings[-1].summary


def test_the_slot_that_holds_most_is_told() -> None:
    parts = {"slots": (SLOT, replace(IDLE, name="forgotten", bytes=6.0 * GIB), replace(SLOT, name="new", bytes=None))}
    (finding,), _metrics = ask(TOPIC, "postgresql.slot_wal", parts=parts)

    assert (finding.status, finding.value) == ("warning", 6 * GIB)
    assert finding.evidence[0] == "forgotten: physical, reserved, nobody connected, holds 6 GiB"
    assert finding.evidence[2] == "new: physical, reserved, in use, holds no WAL"


def test_what_is_left_until_a_slot_breaks() -> None:
    parts = {"slots": (SLOT, replace(SLOT, name="near", remaining=100.0 * 1024**2))}
    (finding,), _metrics = ask(TOPIC, "postgresql.slot_remaining", parts=parts)
    (unlimited,), _metrics = ask(TOPIC, "postgresql.slot_remaining", parts={"slots": (SLOT,)})

    assert finding.status == "critical"
    assert "until slot near breaks" in finding.summary
    assert unlimited.status == "skipped"
    assert "max_slot_wal_keep_size" in unlimited.remedy
    (broken,), _metrics = ask(TOPIC, "postgresql.slot_remaining", parts={"slots": (replace(IDLE, status="lost"),)})
    assert (broken.status, "max_slot_wal_keep_size is -1" in broken.summary) == ("skipped", False)


def test_without_slots_there_is_nothing_to_judge() -> None:
    for check in ("slot_status", "slot_wal", "slot_remaining", "slot_inactive"):
        (finding,), _metrics = ask(TOPIC, f"postgresql.{check}", parts={"slots": ()})
        assert finding.status == "skipped"


def test_the_server_says_since_when_nobody_uses_a_slot() -> None:
    parts = {"slots": (replace(IDLE, inactive_since=NOW - timedelta(days=2)), replace(SLOT, name="used"))}
    (finding,), _metrics = ask(TOPIC, "postgresql.slot_inactive", parts=parts)

    assert (finding.status, finding.value) == ("critical", 2 * 86400)
    assert finding.evidence[0].startswith("2 d: standby1")
    assert "1 slot that nobody uses" in finding.summary


def test_where_the_server_does_not_say_it_is_the_first_run_that_saw_it() -> None:
    middle = replace(SERVER, now=NOW - timedelta(hours=1))
    past = memory(IDLE, past=memory(IDLE), server=middle)
    (finding,), _metrics = ask(TOPIC, "postgresql.slot_inactive", parts={"slots": (IDLE,)}, memory=past)

    assert (finding.status, finding.value) == ("warning", 7200)


def test_a_slot_that_was_used_in_between_starts_anew() -> None:
    middle = replace(SERVER, now=NOW - timedelta(hours=1))
    past = memory(SLOT, past=memory(IDLE), server=middle)
    (finding,), _metrics = ask(TOPIC, "postgresql.slot_inactive", parts={"slots": (IDLE,)}, memory=past)

    assert (finding.status, finding.value) == ("ok", 0)


@pytest.mark.parametrize("slot", [SLOT, replace(IDLE, synced=True), replace(IDLE, status="lost")])
def test_slots_that_need_no_client(slot: Slot) -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.slot_inactive", parts={"slots": (slot,)}, memory=memory(slot))

    assert (finding.status, finding.value) == ("ok", 0)
    assert not finding.evidence


def test_what_logical_decoding_spilled_since_the_last_run() -> None:
    before = {"feed": Counters({"bytes": 5 * GIB, "count": 3})}
    past = remembered(EARLIER, **remember(Snapshot(EARLIER, EARLIER.now, parts={"slot_spill": before})))
    now = {"feed": Counters({"bytes": 7 * GIB, "count": 4}), "fresh": Counters({"bytes": 9 * GIB, "count": 9})}
    (finding,), _metrics = ask(TOPIC, "postgresql.slot_spill", parts={"slot_spill": now}, memory=past)

    assert (finding.status, finding.value) == ("info", 2 * GIB)
    assert finding.evidence == ("feed: 2 GiB in 1 times",)

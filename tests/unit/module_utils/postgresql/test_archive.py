# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archiver that fails, hangs, or has nothing to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.archive import (
    TOPIC,
    Archiver,
    Waiting,
    remember,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Snapshot
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import (
    NOW,
    SERVER,
    ask,
    remembered,
)

EARLIER = replace(SERVER, now=NOW - timedelta(hours=1))
STANDBY = replace(SERVER, in_recovery=True)
MIB = 1024**2
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

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the same cluster answers, and how far its clock is from ours."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.identity import (
    TOPIC,
    Identity,
    Offset,
    collect_offset,
    remember,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Snapshot
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import (
    NOW,
    SERVER,
    ask,
    remembered,
)


@pytest.mark.parametrize(
    ("now", "status", "words"),
    [
        (Identity("7001", 1), "ok", "cluster 7001, timeline 1, as at the last run"),
        (Identity("7001", 2), "info", "cluster 7001 is on timeline 2, at the last run, 0 s ago, on 1"),
        (Identity("7002", 1), "critical", "another cluster answers than at the last run, 0 s ago: 7002, then 7001"),
    ],
)
def test_a_cluster_is_known_by_its_number_and_its_timeline(now: Identity, status: str, words: str) -> None:
    memory = remembered(SERVER, **remember(Snapshot(SERVER, SERVER.now, parts={"identity": Identity("7001", 1)})))
    ((first,), _metrics) = ask(TOPIC, "postgresql.cluster_id", parts={"identity": now})
    ((finding,), _metrics) = ask(TOPIC, "postgresql.cluster_id", parts={"identity": now}, memory=memory)

    assert first.status == "skipped"
    assert finding.status == status
    assert finding.summary.startswith(words)


@pytest.mark.parametrize(
    ("offset", "status", "value"),
    [
        (Offset(0.3, 0.5), "ok", 0),
        (Offset(-2.5, 0.1), "warning", 2.4),
        (Offset(60.0, 0.1), "critical", 59.9),
    ],
)
def test_a_clock_is_judged_by_what_the_way_does_not_account_for(offset: Offset, status: str, value: float) -> None:
    ((finding,), _metrics) = ask(TOPIC, "postgresql.clock_offset", parts={"offset": offset})

    assert (finding.status, finding.value) == (status, value)
    assert ("ahead" if offset.seconds > 0 else "behind") in finding.summary


class Slow(Clock):
    """A clock that moves only while the server answers, by four seconds."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> Any:
        return NOW + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        return self.at


class Far:
    """A server that is ten seconds ahead, two seconds away."""

    def __init__(self, clock: Slow) -> None:
        self.clock = clock

    def row(self, _query: str) -> dict[str, float]:
        self.clock.at += 4.0
        return {"seconds": NOW.timestamp() + 2.0 + 10.0}


def test_the_server_is_taken_to_have_looked_half_way() -> None:
    clock = Slow()

    assert collect_offset(Far(clock), SERVER, Settings(), clock) == Offset(10.0, 2.0)  # type: ignore[arg-type]

# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the server before and after a vacuum."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock, Deadline
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import vacuum_act
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Limits, Table
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_act import Doer, Manner
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_budget import Allowance, Budget
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_counters import Counters
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_terms import Job

ORDERS = Table(20000, "public", "orders")
BEFORE = Counters(
    schema="public", name="orders", file=1, rows=10, pages=1, xid_age=5, mxid_age=5, all_frozen=None, dead=9000,
    inserted_since_vacuum=0, modified_since_analyze=0, vacuumed=None, analyzed=None, bytes=8192,
)  # fmt: skip
START = datetime(2026, 3, 1, tzinfo=timezone.utc)


class Ticking(Clock):
    """Time passes where somebody sleeps."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@pytest.mark.parametrize(("late", "found", "seconds"), [(True, True, 0.5), (False, False, 0.0)])
def test_where_counting_takes_a_moment_it_is_waited_for(
    late: bool, found: bool, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Ticking()
    nobody: Any = None
    doer = Doer(
        nobody, nobody, Manner(late=late), Limits(), Budget(Allowance(), clock, Deadline(clock)), lambda _job: ""
    )
    after = replace(BEFORE, dead=0, vacuumed=START)
    monkeypatch.setattr(vacuum_act, "count", lambda _session, _oid: after if clock.at >= 0.45 else BEFORE)
    job = Job("vacuum", "shop public.orders", "", reversible=False, table=ORDERS, vacuum=True)

    assert (doer._counted(nobody, job, BEFORE) == after) is found
    assert round(clock.at, 3) == seconds

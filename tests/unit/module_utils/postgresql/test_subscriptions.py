# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subscriptions that run, fail, stand still or are switched off."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.deltas import Counters
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.subscriptions import (
    TOPIC,
    Subscription,
    Subscriptions,
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
FEED = Subscription(oid="16400", name="Feed", database="shop", enabled=True, running=True)
STOPPED = replace(FEED, running=False)
DISABLED = replace(STOPPED, enabled=False)


def found(*several: Subscription, apply: int = 5, copy: int = 0) -> dict[str, Any]:
    return {"subscriptions": Subscriptions(several, {FEED.oid: Counters({"apply": apply, "copy": copy})})}


@pytest.mark.parametrize(
    ("subscription", "apply", "status", "words"),
    [
        (FEED, 5, "ok", "1 subscription, each with its worker"),
        (FEED, 6, "warning", "Feed runs, 1 error since the last run"),
        (STOPPED, 5, "critical", "Feed is enabled and has no worker"),
        (STOPPED, 9, "critical", "no worker, 4 errors since the last run"),
        (DISABLED, 5, "info", "Feed is disabled"),
        (DISABLED, 6, "warning", "Feed is disabled, 1 error since the last run"),
    ],
)
def test_a_subscription(subscription: Subscription, apply: int, status: str, words: str) -> None:
    past = remembered(EARLIER, **remember(Snapshot(EARLIER, EARLIER.now, parts=found(FEED))))
    parts = found(subscription, apply=apply)
    (finding,), metrics = ask(TOPIC, "postgresql.subscriptions", parts=parts, memory=past)

    assert finding.status == status
    assert words in finding.summary
    assert metrics["postgresql.subscription_errors", "localhost:5432/shop Feed"] == apply - 5


def test_the_first_run_tells_of_workers() -> None:
    (finding,), metrics = ask(TOPIC, "postgresql.subscriptions", parts=found(STOPPED))

    assert finding.status == "critical"
    assert not metrics


def test_many_that_stand_still_do_not_fill_the_report() -> None:
    several = [replace(STOPPED, oid=str(at), name=f"feed{at}") for at in range(50)]
    findings, _metrics = ask(TOPIC, "postgresql.subscriptions", parts=found(*several))

    assert len(findings) == 21
    assert "30 more" in findings[-1].summary


def test_without_subscriptions_there_is_nothing_to_judge() -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.subscriptions", parts=found())

    assert finding.status == "skipped"
